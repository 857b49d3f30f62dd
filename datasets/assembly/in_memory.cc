#include "datasets/assembly/in_memory.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "datasets/assembly/names.h"

namespace cmerc {

InMemoryDataset::InMemoryDataset(DatasetInfo info, std::vector<Conversation> conversations,
                                 Splits splits, std::vector<std::string> warnings,
                                 std::map<std::string, std::string> extractors)
    : info_(std::move(info)),
      conversations_(std::move(conversations)),
      splits_(std::move(splits)),
      warnings_(std::move(warnings)),
      extractors_(std::move(extractors)) {
  const auto count = [](const Conversation& conversation, std::vector<int64_t>* counts) {
    const int64_t* label = conversation.labels.data_ptr<int64_t>();
    for (int64_t i = 0; i < conversation.length(); ++i) {
      if (label[i] != kUnlabelled) ++(*counts)[label[i]];
    }
  };
  info_.class_counts.assign(info_.class_names.size(), 0);
  for (const int64_t index : splits_.train) count(conversations_[index], &info_.class_counts);
  std::vector<int64_t> counts(info_.class_names.size(), 0);
  for (const Conversation& conversation : conversations_) count(conversation, &counts);
  for (std::string& warning : ClassNameWarnings(info_.class_names, counts)) {
    warnings_.push_back(std::move(warning));
  }
}

absl::StatusOr<Conversation> InMemoryDataset::Get(int64_t index) const {
  if (index < 0 || index >= size()) {
    return absl::OutOfRangeError(absl::StrCat("conversation ", index, " of dataset ", info_.name,
                                              " was asked for, want 0 to ", size() - 1));
  }
  return conversations_[index];
}

absl::Span<const int64_t> InMemoryDataset::split(Split split) const {
  switch (split) {
    case Split::kTrain:
      return splits_.train;
    case Split::kValid:
      return splits_.valid;
    case Split::kTrainAndValid:
      return splits_.train_and_valid;
    case Split::kTest:
      return splits_.test;
  }
  return {};
}

absl::Span<const std::string> WarningsOf(const Dataset& dataset) {
  const auto* of_files = dynamic_cast<const TellsOfItsFiles*>(&dataset);
  if (of_files == nullptr) return {};
  return of_files->warnings();
}

std::map<std::string, std::string> ExtractorsOf(const Dataset& dataset) {
  const auto* of_files = dynamic_cast<const TellsOfItsFiles*>(&dataset);
  return of_files == nullptr ? std::map<std::string, std::string>() : of_files->extractors();
}

}  // namespace cmerc
