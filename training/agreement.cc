#include "training/agreement.h"

#include <torch/types.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/printable.h"
#include "core/status.h"

namespace cmerc {
namespace {

// A line for each line of each value, with its name before it.
std::string LinesOf(const Facts& facts) {
  std::string lines;
  for (const auto& [name, value] : facts) {
    for (const absl::string_view line : absl::StrSplit(value, '\n')) {
      absl::StrAppend(&lines, name, ": ", line, "\n");
    }
  }
  return lines;
}

torch::Tensor Bytes(const std::string& text) {
  const auto size = static_cast<int64_t>(text.size());
  torch::Tensor bytes = torch::empty({size}, torch::kUInt8);
  std::copy(text.begin(), text.end(), bytes.data_ptr<uint8_t>());
  return bytes;
}

std::string Text(const torch::Tensor& bytes) {
  const auto* const begin = bytes.data_ptr<uint8_t>();
  return std::string(begin, begin + bytes.numel());
}

// "rank 0 has A and rank 2 has B": the first lines in which they differ.
std::string Difference(const std::string& of_first, const std::string& of_other, size_t other) {
  const std::vector<std::string> a = absl::StrSplit(of_first, '\n');
  const std::vector<std::string> b = absl::StrSplit(of_other, '\n');
  size_t line = 0;
  while (line + 1 < std::min(a.size(), b.size()) && a[line] == b[line]) ++line;
  return absl::StrCat("rank 0 has `", Printable(a[line]), "` and rank ", other, " has `",
                      Printable(b[line]), "`");
}

}  // namespace

absl::Status CheckAlike(ProcessGroup* processes, const Facts& facts) {
  if (processes == nullptr || processes->size() == 1) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<torch::Tensor> all,
                   processes->AllGather(Bytes(LinesOf(facts)), "what all must have alike"));
  const std::string of_first = Text(all[0]);
  for (size_t rank = 1; rank < all.size(); ++rank) {
    const std::string of_other = Text(all[rank]);
    if (of_other == of_first) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "the processes of this run must have the same program, config, data and number of threads, "
        "and the same weights at any time; ",
        Difference(of_first, of_other, rank)));
  }
  return absl::OkStatus();
}

absl::StatusOr<double> FromRank0(ProcessGroup* processes, double mine, const std::string& what) {
  if (processes == nullptr || processes->size() == 1) return mine;
  const torch::Tensor given = processes->rank() == 0 ? torch::full({1}, mine, torch::kFloat64)
                                                     : torch::empty({0}, torch::kFloat64);
  ASSIGN_OR_RETURN(const std::vector<torch::Tensor> all, processes->AllGather(given, what));
  return all[0].item<double>();
}

}  // namespace cmerc
