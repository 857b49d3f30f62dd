// A dataset in memory, whose conversations and splits a test may change.
#ifndef CMERC_TESTS_CALIBRATION_FAKE_DATASET_H_
#define CMERC_TESTS_CALIBRATION_FAKE_DATASET_H_

#include <string>
#include <vector>

#include "core/dataset.h"
#include "tests/calibration/stub.h"

namespace cmerc {

// Conversations c0 to c5 of StubInfo(). Train 0 and 2, valid 3, train + valid in an order of its
// own, test 1 and 4.
class FakeDataset final : public Dataset {
 public:
  FakeDataset() : info_(StubInfo()) {
    torch::manual_seed(7);
    for (const int64_t length : {4, 2, 3, 5, 1}) {
      conversations.push_back(
          RandomConversation("c" + std::to_string(conversations.size()), length));
    }
  }

  const DatasetInfo& info() const override { return info_; }
  int64_t size() const override { return static_cast<int64_t>(conversations.size()); }
  absl::StatusOr<Conversation> Get(int64_t index) const override {
    if (index == unreadable) return absl::DataLossError("cannot read this one");
    return conversations[index];
  }
  absl::Span<const int64_t> split(Split split) const override {
    return split == Split::kTrain           ? train
           : split == Split::kValid         ? valid
           : split == Split::kTrainAndValid ? train_and_valid
                                            : test;
  }

  std::vector<Conversation> conversations;
  int64_t unreadable = -1;
  std::vector<int64_t> train = {0, 2};
  std::vector<int64_t> valid = {3};
  std::vector<int64_t> train_and_valid = {3, 0, 2};
  std::vector<int64_t> test = {1, 4};

 private:
  const DatasetInfo info_;
};

}  // namespace cmerc

#endif  // CMERC_TESTS_CALIBRATION_FAKE_DATASET_H_
