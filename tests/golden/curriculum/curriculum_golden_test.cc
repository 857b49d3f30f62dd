// BabyStepOptions on the official difficulty files: the ids of the conversations of epochs 0 to 10.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/golden/golden.h"
#include "tests/schedulers/scheduler_testing.h"

namespace cmerc {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

// An id is a name in IEMOCAP, a number in MELD.
std::string Id(const Value& value) {
  return value.has_string_value() ? value.string_value() : absl::StrCat(value.number_value());
}

std::vector<std::string> Ids(const Value& list) {
  std::vector<std::string> ids;
  for (const Value& value : list.list_value().values()) ids.push_back(Id(value));
  return ids;
}

const Struct& Corpora() {
  static const auto* corpora = [] {
    std::ifstream in(golden::Path("curriculum.json"));
    const std::string json((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    auto* parsed = new Struct;
    const auto status = google::protobuf::util::JsonStringToMessage(json, parsed);
    if (!status.ok()) ADD_FAILURE() << golden::Path("curriculum.json") << ": " << status;
    return parsed;
  }();
  return *corpora;
}

std::vector<std::string> CorpusNames() {
  std::vector<std::string> names;
  for (const auto& [name, corpus] : Corpora().fields()) names.push_back(name);
  return names;
}

class CurriculumGoldenTest : public testing::TestWithParam<std::string> {};

TEST_P(CurriculumGoldenTest, SelectsTheSameConversationsInTheSameOrder) {
  const auto& corpus = Corpora().fields().at(GetParam()).struct_value().fields();
  // In the order of the difficulty file, which decides among equals.
  std::vector<std::string> ids;
  std::vector<float> difficulty;
  for (const Value& pair : corpus.at("difficulty").list_value().values()) {
    ids.push_back(Id(pair.list_value().values(0)));
    difficulty.push_back(static_cast<float>(pair.list_value().values(1).number_value()));
  }
  const std::vector<std::string> training_order = Ids(corpus.at("trainVid"));
  ASSERT_EQ(std::set<std::string>(ids.begin(), ids.end()),
            std::set<std::string>(training_order.begin(), training_order.end()));

  const auto scheduler = SchedulerFromText(
      "cmerc.BabyStepOptions",
      absl::StrCat("epoch_ratio: ", corpus.at("epoch_ratio_arg").number_value(),
                   " scheduler_steps: ", corpus.at("scheduler_steps").number_value()));
  ASSERT_TRUE(scheduler.ok()) << scheduler.status();

  ASSERT_GT(corpus.at("epochs").list_value().values_size(), 0);
  for (const Value& value : corpus.at("epochs").list_value().values()) {
    const auto& epoch = value.struct_value().fields();
    const auto number = static_cast<int64_t>(epoch.at("e").number_value());
    SCOPED_TRACE(absl::StrCat("epoch ", number));
    std::set<std::string> selected;
    for (const int64_t index : (*scheduler)->Select(number, difficulty)) {
      selected.insert(ids[index]);
    }
    std::vector<std::string> in_training_order;
    for (const std::string& id : training_order) {
      if (selected.count(id) == 1) in_training_order.push_back(id);
    }
    EXPECT_EQ(static_cast<double>(selected.size()), epoch.at("kept").number_value());
    EXPECT_EQ(in_training_order,
              epoch.at("keys").has_null_value() ? training_order : Ids(epoch.at("keys")));
  }
}

INSTANTIATE_TEST_SUITE_P(Corpora, CurriculumGoldenTest, testing::ValuesIn(CorpusNames()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace cmerc
