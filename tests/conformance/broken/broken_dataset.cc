// Six conversations, as a dataset that obeys every law of the suite; and the same with one defect.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/dataset.h"
#include "core/torch_status.h"
#include "tests/conformance/broken/broken_dataset.pb.h"

namespace cmerc {
namespace {

using Options = BrokenDatasetOptions;

class BrokenDataset final : public Dataset {
 public:
  static absl::StatusOr<std::unique_ptr<Dataset>> Create(const Options& options) {
    return std::unique_ptr<Dataset>(new BrokenDataset(options.defect()));
  }

  const DatasetInfo& info() const override { return info_; }

  int64_t size() const override { return 6; }

  absl::StatusOr<Conversation> Get(int64_t index) const override {
    if (index < 0 || index >= size()) return absl::OutOfRangeError("six conversations");
    const int64_t length = index + 2;
    Conversation conversation;
    conversation.id = absl::StrCat(Has(Options::REPEATS_AN_ID) && index == 5 ? 4 : index);
    torch::Tensor rows = torch::arange(2.0 * length).view({length, 2}) / 10;
    if (Has(Options::OTHER_FEATURES_EACH_TIME)) rows = rows + static_cast<double>(++gets_);
    if (Has(Options::NAN_FEATURE) && index == 3) rows[0][1] = std::nan("");
    if (Has(Options::WRONG_WIDTH) && index == 3) rows = torch::cat({rows, rows}, 1);
    if (Has(Options::WRONG_DTYPE)) rows = rows.to(torch::kFloat64);
    conversation.features = {{rows}, {rows}};
    conversation.speakers = torch::arange(length).remainder(2);
    conversation.labels = torch::arange(length).remainder(2);
    if (Has(Options::SPEAKER_OUT_OF_RANGE) && index == 3) conversation.speakers[1] = 2;
    if (Has(Options::FEATURES_OF_WHAT_IS_MISSING) && index == 3) {
      conversation.present = torch::ones({length, 2}, torch::kBool);
      conversation.present[1][1] = false;
    }
    // In the test split, which class_counts leaves out.
    if (Has(Options::LABEL_OUT_OF_RANGE) && index == 5) conversation.labels[1] = 2;
    return conversation;
  }

  absl::Span<const int64_t> split(Split split) const override {
    switch (split) {
      case Split::kTrain:
        return train_;
      case Split::kValid:
        return valid_;
      case Split::kTrainAndValid:
        return train_and_valid_;
      case Split::kTest:
        return test_;
    }
    return {};
  }

 private:
  explicit BrokenDataset(Options::Defect defect) : defect_(defect) {
    info_.name = "broken";
    info_.modalities = {{"text", 2, 1},
                        {Has(Options::REPEATS_A_MODALITY) ? "text" : "audio", 2, 1}};
    info_.class_names = {"glad", "sad"};
    info_.num_speakers = 2;
    info_.speaker_names = {"Ann", Has(Options::REPEATS_A_SPEAKER) ? "Ann" : "Bob"};
    if (Has(Options::SPLITS_OVERLAP)) test_.push_back(0);
    if (Has(Options::UNION_INCOMPLETE)) train_and_valid_.pop_back();
    // Labels are 0, 1, 0, ...: conversations 0, 1 and 2 have lengths of 2, 3 and 4.
    info_.class_counts = {1 + 2 + 2, 1 + 1 + 2};
    if (Has(Options::COUNTS_ALL_SPLITS)) info_.class_counts = {15, 12};
  }

  bool Has(Options::Defect defect) const { return defect_ == defect; }

  const Options::Defect defect_;
  DatasetInfo info_;
  std::vector<int64_t> train_ = {0, 1, 2};
  std::vector<int64_t> valid_ = {3};
  std::vector<int64_t> train_and_valid_ = {3, 0, 1, 2};
  std::vector<int64_t> test_ = {4, 5};
  mutable int64_t gets_ = 0;
};

const Registered<BrokenDatasetOptions> kRegistered(Datasets(), BrokenDataset::Create);

}  // namespace
}  // namespace cmerc
