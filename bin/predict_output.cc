#include "bin/predict_output.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status.h"

namespace cmerc {

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

void PredictOutput::Add(const PredictedConversation& prediction, const CarriedAlong& carried) {
  if (!table_.has_value()) {
    absl::StrAppend(&text_, PredictionToJson(prediction, carried), "\n");
    return;
  }
  if (!has_header_) text_ = table_->Header();
  has_header_ = true;
  text_ += table_->Rows(prediction, carried);
}

void PredictOutput::AddLine(const std::string& line) { absl::StrAppend(&text_, line, "\n"); }

absl::Status PredictOutput::Flush() {
  const std::string text = std::move(text_);
  text_.clear();
  if (file_ != nullptr) return file_->Write(text);
  const int error = WriteAll(STDOUT_FILENO, text);
  if (error == 0) return absl::OkStatus();
  return absl::UnavailableError(
      error == EPIPE ? "whoever read standard output has closed it before the end"
                     : absl::StrCat("cannot write to standard output: ", std::strerror(error)));
}

absl::Status PredictOutput::Finish() {
  return file_ == nullptr ? absl::OkStatus() : file_->Commit();
}

}  // namespace cmerc
