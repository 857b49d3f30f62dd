// All that is wrong with the files of a data set, told at once.
#ifndef CMERC_CORE_PROBLEMS_H_
#define CMERC_CORE_PROBLEMS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cmerc {

// Everything that is wrong with the files; the first few in words.
class Problems {
 public:
  void Add(std::string problem) {
    if (++count_ <= kShown) shown_.push_back(std::move(problem));
  }
  bool empty() const { return count_ == 0; }
  // InvalidArgument where there is any, a line each.
  absl::Status ToStatus() const {
    if (count_ == 0) return absl::OkStatus();
    std::string message = absl::StrJoin(shown_, "\n");
    if (count_ > kShown) absl::StrAppend(&message, "\n(and ", count_ - kShown, " more)");
    return absl::InvalidArgumentError(message);
  }

 private:
  static constexpr int64_t kShown = 10;
  int64_t count_ = 0;
  std::vector<std::string> shown_;
};

}  // namespace cmerc

#endif  // CMERC_CORE_PROBLEMS_H_
