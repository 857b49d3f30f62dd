#include "datasets/official/budget.h"

#include "absl/strings/str_cat.h"

namespace cmerc::datasets {
namespace {

constexpr double kMostExpansion = 64;
constexpr double kExpansionBase = 1 << 20;

}  // namespace

Budget::Budget(uint64_t file_bytes)
    : bytes_left_(kMostExpansion * static_cast<double>(file_bytes) + kExpansionBase) {}

absl::Status Budget::Spend(int64_t count, int64_t item_size) {
  bytes_left_ -= static_cast<double>(count) * static_cast<double>(item_size);
  if (bytes_left_ >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("repeats its objects so often that the data takes more than ", kMostExpansion,
                   " times the file; the file may be hostile"));
}

absl::Status Budget::Spend(const std::vector<std::string>& texts) {
  int64_t bytes = 0;
  for (const std::string& text : texts) {
    bytes += static_cast<int64_t>(sizeof(text) + text.size());
  }
  return Spend(bytes, 1);
}

}  // namespace cmerc::datasets
