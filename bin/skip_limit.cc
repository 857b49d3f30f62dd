#include "bin/skip_limit.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/status.h"

namespace cmerc {

absl::StatusOr<SkipLimit> SkipLimit::Parse(const std::string& text) {
  SkipLimit limit;
  limit.text_ = text;
  absl::string_view digits = text;
  const bool is_share = absl::ConsumeSuffix(&digits, "%");
  // Numbers as people write them: no sign, no "1e3", no "inf".
  const bool plain = !digits.empty() && absl::ascii_isdigit(digits[0]) &&
                     digits.find_first_not_of("0123456789.") == absl::string_view::npos;
  int64_t number = 0;
  double percent = 0;
  if (plain && is_share && absl::SimpleAtod(digits, &percent) && percent <= 100) {
    limit.percent_ = percent;
    return limit;
  }
  if (plain && !is_share && absl::SimpleAtoi(digits, &number)) {
    limit.number_ = number;
    return limit;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--max_skipped=", text,
                   ", must be a number of conversations, such as 10, or a share of them, 0% to "
                   "100%, such as 2.5%"));
}

absl::Status SkipLimit::CheckSoFar(int64_t skipped) const {
  if (!number_.has_value() || skipped <= *number_) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("more conversations were skipped than --max_skipped=", text_,
                   " allows; look at those above"));
}

absl::Status SkipLimit::CheckAtEnd(int64_t skipped, int64_t all) const {
  RETURN_IF_ERROR(CheckSoFar(skipped));
  if (!percent_.has_value() ||
      100 * static_cast<double>(skipped) <= *percent_ * static_cast<double>(all)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(skipped, " of ", all, " conversations were skipped, and --max_skipped=", text_,
                   " allows fewer; look at those above"));
}

}  // namespace cmerc
