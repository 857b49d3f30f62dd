#include "datasets/formats/line_reader.h"

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status.h"

namespace cmerc {
namespace {

// A conversation of 110 utterances with four streams of 1024 takes 10 MB.
constexpr size_t kMaxLineBytes = size_t{1} << 28;

constexpr char kByteOrderMark[] = "\xEF\xBB\xBF";

}  // namespace

absl::StatusOr<bool> LineReader::ReadLine(std::string* text) {
  text->clear();
  if (ended_) return false;
  begin_ = position_;
  bool is_there = false;
  for (bool goes_on = true; goes_on;) {
    std::array<char, 1 << 16> piece;
    in_.getline(piece.data(), piece.size());
    auto size = static_cast<size_t>(in_.gcount());
    position_ += static_cast<int64_t>(size);
    goes_on = in_.fail() && !in_.eof() && size == piece.size() - 1;
    if (in_.bad() || (in_.fail() && !in_.eof() && !goes_on)) {
      return absl::UnavailableError(
          absl::StrCat(name_, ": cannot be read after line ", line_, "; is the disk all right?"));
    }
    is_there = is_there || size > 0;
    if (in_.good()) --size;  // the newline
    if (goes_on) in_.clear();
    if (text->size() + size > kMaxLineBytes) {
      // Its end may never come.
      ended_ = true;
      ++line_;
      return absl::InvalidArgumentError(absl::StrCat(name_, ", line ", line_, ": is longer than ",
                                                     kMaxLineBytes >> 20, " MiB; a line holds ",
                                                     holds_));
    }
    text->append(piece.data(), size);
  }
  if (is_there) ++line_;
  return is_there;
}

absl::StatusOr<bool> LineReader::Next(std::string* text) {
  while (true) {
    ASSIGN_OR_RETURN(const bool found, ReadLine(text));
    if (!found) return false;
    if (line_ == 1 && absl::StartsWith(*text, kByteOrderMark)) {
      text->erase(0, sizeof(kByteOrderMark) - 1);
      begin_ += static_cast<int64_t>(sizeof(kByteOrderMark)) - 1;
    }
    if (text->find_first_not_of(" \t\r") != std::string::npos) return true;
  }
}

}  // namespace cmerc
