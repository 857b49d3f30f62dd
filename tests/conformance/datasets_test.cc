// The dataset suite over the project's own plugins, with the options they need.
#include <gtest/gtest.h>

#include "core/dataset.h"
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {
namespace {

const ExtraCase kExtraCases[] = {
    {"cmerc.SyntheticOptions",
     "train_conversations: 1 valid_conversations: 0 test_conversations: 1 min_length: 1 "
     "mean_length: 1 max_length: 1 num_speakers: 1"},
    {"cmerc.SyntheticOptions",
     "num_speakers: 30 modalities { name: 'gaze' width: 1 streams: 4 } modalities { name: 'eeg' }"},
    {"cmerc.OfficialPicklesOptions",
     "features_file: 'tests/datasets/data/iemocap_features.pkl' "
     "roberta_file: 'tests/datasets/data/iemocap_roberta.pkl'"},
    {"cmerc.OfficialPicklesOptions",
     "features_file: 'tests/datasets/data/meld_features.pkl' "
     "roberta_file: 'tests/datasets/data/meld_roberta.pkl'"},
    {"cmerc.OfficialPicklesOptions", "roberta_file: 'tests/datasets/data/iemocap_roberta.pkl'"},
    {"cmerc.OfficialPicklesOptions", "roberta_file: 'tests/datasets/data/emorynlp_roberta.pkl'"},
    {"cmerc.OfficialPicklesOptions", "roberta_file: 'tests/datasets/data/dailydialog_roberta.pkl'"},
    {"cmerc.OfficialPicklesOptions", "features_file: 'tests/datasets/data/sdt_iemocap.pkl'"},
    {"cmerc.OfficialPicklesOptions", "features_file: 'tests/datasets/data/sdt_meld.pkl'"},
    {"cmerc.RecordsOptions", "file: 'tests/datasets/data/conversations.jsonl'"},
    {"cmerc.RecordsOptions", "file: 'tests/datasets/data/gaps.jsonl'"},
    {"cmerc.RecordsOptions",
     "file: 'tests/datasets/data/conversations.jsonl' speakers: BY_APPEARANCE "
     "class_names: 'neutral' class_names: 'joy' class_names: 'anger' class_names: 'fear'"},
    {"cmerc.RecordsOptions", "file: 'tests/datasets/data/conversations.records'"},
    {"cmerc.RecordsOptions", "file: 'tests/datasets/data/conversations.records' in_memory: false"},
    {"cmerc.RecordsOptions", "file: 'tests/datasets/data/gaps.jsonl' in_memory: false"},
};

TEST(DatasetLinkageTest, TheBundleLinksThesePlugins) {
  std::vector<std::string> types;
  for (const auto& [type, plugin] : Datasets().plugins()) types.push_back(type);
  EXPECT_EQ(types, (std::vector<std::string>{"cmerc.OfficialPicklesOptions", "cmerc.RecordsOptions",
                                             "cmerc.SyntheticOptions"}));
}

}  // namespace
}  // namespace cmerc::conformance
