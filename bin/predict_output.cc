#include "bin/predict_output.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/status.h"

namespace cmerc {
namespace {

// How much of a line is shown where it is another one than expected, and how much of that is before
// the place where it differs.
constexpr size_t kShown = 120;
constexpr size_t kShownBefore = 60;
// Another processor may round other last digits.
constexpr double kRounding = 1e-4;

bool IsOfNumber(char c) {
  return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
}

// The number that `text` begins with; it is taken away.
absl::string_view TakeNumber(absl::string_view* text) {
  size_t length = 0;
  while (length < text->size() && IsOfNumber((*text)[length])) ++length;
  const absl::string_view number = text->substr(0, length);
  text->remove_prefix(length);
  return number;
}

// Whether two numbers as JSON writes them differ by no more than rounding; whole ones are equal or
// not.
bool SameNumber(absl::string_view a, absl::string_view b) {
  if (a == b) return true;
  double number_a = 0;
  double number_b = 0;
  const bool are_whole = a.find_first_of(".eE") == absl::string_view::npos &&
                         b.find_first_of(".eE") == absl::string_view::npos;
  return !are_whole && absl::SimpleAtod(a, &number_a) && absl::SimpleAtod(b, &number_b) &&
         std::abs(number_a - number_b) <= kRounding;
}

// Whether two lines of JSON differ by no more than the rounding of numbers; texts are equal.
bool SameUpToRounding(absl::string_view a, absl::string_view b) {
  bool in_text = false;
  while (!a.empty() && !b.empty()) {
    if (!in_text && IsOfNumber(a[0]) && IsOfNumber(b[0])) {
      if (!SameNumber(TakeNumber(&a), TakeNumber(&b))) return false;
      continue;
    }
    const size_t length =
        in_text && a[0] == '\\' ? 2 : 1;  // behind a backslash a quote ends no text
    if (a.substr(0, length) != b.substr(0, length)) return false;
    if (a[0] == '"') in_text = !in_text;
    a.remove_prefix(std::min(length, a.size()));
    b.remove_prefix(std::min(length, b.size()));
  }
  return a.empty() && b.empty();
}

}  // namespace

absl::Status MoreThanThereIs(const std::string& path, int64_t answers, int64_t conversations) {
  return absl::InvalidArgumentError(absl::StrCat(
      "--resume: ", path, " holds ", answers, " answers, and there are only ", conversations,
      " conversations to predict; it is of another input, or of another --shard: name "
      "another --output, or give the input that it was begun with"));
}

bool IsTable(const std::string& output) { return absl::EndsWithIgnoreCase(output, ".csv"); }

absl::Status CheckAnswerName(const std::string& output) {
  for (const char* ending : {".tsv", ".xlsx", ".xls", ".ods", ".parquet", ".feather", ".gz", ".zip",
                             ".npz", ".pkl", ".records", ".html", ".pdf"}) {
    if (!absl::EndsWithIgnoreCase(output, ending)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--output=", output,
                     ": predictions are JSON Lines (NAME.jsonl) or a table "
                     "(NAME.csv); choose one of these names"));
  }
  return absl::OkStatus();
}

absl::StatusOr<PredictOutput> PredictOutput::Open(const std::string& path, const DatasetInfo& info,
                                                  const std::vector<View>& views,
                                                  const OptionalKeys& keys) {
  PredictOutput output;
  if (path == "-") {
    std::signal(SIGPIPE, SIG_IGN);
    return output;
  }
  if (IsTable(path)) output.table_.emplace(info.class_names, views, keys);
  ASSIGN_OR_RETURN(output.file_, AtomicFile::Create(path));
  return output;
}

absl::StatusOr<PredictOutput> PredictOutput::Resume(std::unique_ptr<ResumedFile> file,
                                                    int64_t first) {
  PredictOutput output;
  ASSIGN_OR_RETURN(const std::vector<std::string> lines, file->LinesFrom(first));
  output.there_.assign(lines.begin(), lines.end());
  output.resumed_ = std::move(file);
  return output;
}

void PredictOutput::Compare(const std::string& answer) {
  const std::string there = std::move(there_.front());
  const int64_t line = resumed_->lines() - static_cast<int64_t>(there_.size()) + 1;
  there_.pop_front();
  if (!other_.ok() || SameUpToRounding(there, answer)) return;
  const auto mismatch =
      std::mismatch(there.begin(), there.end(), answer.begin(), answer.end()).first;
  const auto differs = static_cast<size_t>(mismatch - there.begin());
  const size_t begin = differs - std::min(differs, kShownBefore);
  const auto show = [&](absl::string_view text) {
    return absl::CHexEscape(absl::ClippedSubstr(text, begin, kShown));
  };
  other_ = absl::InvalidArgumentError(absl::StrCat(
      "--resume: ", resumed_->path(), ", line ", line,
      " is not what this model says of this input with these flags: from byte ", begin,
      " on there is\n  ", show(there), "\nwant\n  ", show(answer),
      "\nname another --output, or give the checkpoint, input and flags that it was begun with"));
}

bool PredictOutput::Add(const PredictedConversation& prediction, const CarriedAlong& carried) {
  if (!table_.has_value()) {
    const std::string line = PredictionToJson(prediction, carried);
    if (!there_.empty()) {
      Compare(line);
      return false;
    }
    absl::StrAppend(&text_, line, "\n");
    return true;
  }
  if (!has_header_) text_ = table_->Header();
  has_header_ = true;
  text_ += table_->Rows(prediction, carried);
  return true;
}

void PredictOutput::AddLine(const std::string& line) { absl::StrAppend(&text_, line, "\n"); }

absl::Status PredictOutput::Flush() {
  RETURN_IF_ERROR(other_);
  const std::string text = std::move(text_);
  text_.clear();
  if (file_ != nullptr) return file_->Write(text);
  if (resumed_ != nullptr) return resumed_->Append(text);
  const int error = WriteAll(STDOUT_FILENO, text);
  if (error == 0) return absl::OkStatus();
  return absl::UnavailableError(
      error == EPIPE ? "whoever read standard output has closed it before the end"
                     : absl::StrCat("cannot write to standard output: ", std::strerror(error)));
}

absl::Status PredictOutput::Finish() {
  if (resumed_ == nullptr) return file_ == nullptr ? absl::OkStatus() : file_->Commit();
  if (there_.empty()) return resumed_->Sync();
  return MoreThanThereIs(resumed_->path(), resumed_->lines(),
                         resumed_->lines() - static_cast<int64_t>(there_.size()));
}

}  // namespace cmerc
