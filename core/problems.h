// All that is wrong with an input, told at once.
#ifndef CMERC_CORE_PROBLEMS_H_
#define CMERC_CORE_PROBLEMS_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cmerc {

// Gathers problems: the first few in words, the others as a number.
class Problems {
 public:
  // How many are kept in words.
  explicit Problems(size_t most_in_words = 10) : most_in_words_(most_in_words) {}

  void Add(std::string problem) {
    if (++count_ <= most_in_words_) in_words_.push_back(std::move(problem));
  }
  bool empty() const { return count_ == 0; }
  // The problems that are kept in words, in the order in which they were added.
  const std::vector<std::string>& in_words() const { return in_words_; }
  // How many others there were.
  size_t more() const { return count_ - in_words_.size(); }

  // OK if there are none, else InvalidArgument with a line for each problem.
  absl::Status ToStatus() const {
    if (empty()) return absl::OkStatus();
    std::string message = absl::StrJoin(in_words_, "\n");
    if (more() > 0) absl::StrAppend(&message, "\n(and ", more(), " more)");
    return absl::InvalidArgumentError(message);
  }

 private:
  size_t most_in_words_;
  size_t count_ = 0;
  std::vector<std::string> in_words_;
};

}  // namespace cmerc

#endif  // CMERC_CORE_PROBLEMS_H_
