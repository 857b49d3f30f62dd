// A dataset whose features stay on the disk until they are asked for.
#ifndef CMERC_DATASETS_ASSEMBLY_ON_DISK_H_
#define CMERC_DATASETS_ASSEMBLY_ON_DISK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/dataset.h"
#include "core/late_conversations.h"
#include "datasets/assembly/in_memory.h"

namespace cmerc {

class OnDiskDataset final : public Dataset, public HasLateConversations, public TellsOfItsFiles {
 public:
  // `outlines` are the conversations without features and sentences, and `late` has all of them in
  // the same order.
  OnDiskDataset(InMemoryDataset outlines, std::shared_ptr<const LateConversations> late)
      : outlines_(std::move(outlines)), late_(std::move(late)) {}

  const DatasetInfo& info() const override { return outlines_.info(); }
  int64_t size() const override { return outlines_.size(); }
  // Errors are those of LateConversations::Read().
  absl::StatusOr<Conversation> Get(int64_t index) const override { return late_->Read(index); }
  absl::Span<const int64_t> split(Split split) const override { return outlines_.split(split); }

  absl::StatusOr<Conversation> Outline(int64_t index) const override {
    return outlines_.Get(index);
  }
  std::shared_ptr<const LateConversations> late() const override { return late_; }

  const std::vector<std::string>& warnings() const override { return outlines_.warnings(); }
  const std::map<std::string, std::string>& extractors() const override {
    return outlines_.extractors();
  }

 private:
  InMemoryDataset outlines_;
  std::shared_ptr<const LateConversations> late_;
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_ASSEMBLY_ON_DISK_H_
