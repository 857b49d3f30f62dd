#include <google/protobuf/util/json_util.h>
#include <sys/stat.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "calibration/difficulty.h"
#include "calibration/difficulty.pb.h"
#include "core/status.h"
#include "metrics/json.h"
#include "storage/atomic_file.h"
#include "storage/pickle/pickle.h"
#include "storage/pickle/writer.h"

namespace cmerc {
namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno),
                                            "; want the file of `cmerc difficulty` or the official "
                                            "code's .pkl"));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": this is no regular file"));
  }
  std::ifstream in(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad()) return absl::UnavailableError(absl::StrCat(path, ": cannot be read"));
  return bytes;
}

// Protobuf's JSON errors go on with an excerpt and a caret below it.
std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

// The protocol that a file of ours names; nullopt where it names none.
absl::StatusOr<std::optional<DataConfig::Protocol>> ProtocolOf(const std::string& path,
                                                               const DifficultyFile& file) {
  if (file.protocol().empty()) return std::nullopt;
  DataConfig::Protocol protocol;
  if (DataConfig::Protocol_Parse(file.protocol(), &protocol)) return protocol;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": protocol is \"", absl::CHexEscape(file.protocol()),
                   "\", must be HELD_OUT or OFFICIAL; leave it out where it is not known"));
}

absl::StatusOr<MeasuredDifficulties> FromJson(const std::string& path, const std::string& text) {
  DifficultyFile file;
  const auto status = google::protobuf::util::JsonStringToMessage(text, &file);
  if (!status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", FirstLine(std::string(status.message())),
                     "; want the file of `cmerc difficulty` or the official code's .pkl"));
  }
  MeasuredDifficulties measured;
  ASSIGN_OR_RETURN(measured.protocol, ProtocolOf(path, file));
  DifficultyTable& table = measured.table;
  for (const auto& entry : file.conversations()) {
    if (!entry.has_conversation() || !entry.has_difficulty()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": conversations[", table.size(),
                                                     "] must have both a conversation and a "
                                                     "difficulty"));
    }
    table.emplace_back(entry.conversation(), entry.difficulty());
  }
  return measured;
}

// A conversation's id, which is an int or a string in the official files.
absl::StatusOr<std::string> IdOf(const pickle::Document& document, const pickle::Value& key) {
  if (key.kind() == pickle::Kind::kInt) return absl::StrCat(key.int_value());
  ASSIGN_OR_RETURN(const absl::string_view text, document.Text(key));
  return std::string(text);
}

absl::StatusOr<MeasuredDifficulties> FromPickle(const std::string& path, std::string bytes) {
  ASSIGN_OR_RETURN(const std::unique_ptr<pickle::Document> document,
                   pickle::Document::Parse(std::move(bytes), path));
  const pickle::Value& dict = document->root();
  if (dict.kind() != pickle::Kind::kDict) {
    return document->Error(dict,
                           absl::StrCat("want a dict of conversation id to difficulty, found ",
                                        pickle::Describe(dict)));
  }
  MeasuredDifficulties measured;
  for (size_t i = 0; i < dict.keys().size(); ++i) {
    ASSIGN_OR_RETURN(const std::string id, IdOf(*document, *dict.keys()[i]));
    const absl::StatusOr<double> difficulty = document->Number(*dict.values()[i]);
    if (!difficulty.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(difficulty.status().message(), " (difficulty of ", id, ")"));
    }
    const auto rounded = static_cast<float>(*difficulty);
    if (std::isfinite(*difficulty) && !std::isfinite(rounded)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": the difficulty of ", id, " is ", *difficulty,
                       ", want a number that is finite in float32, within +-3.4e38"));
    }
    measured.table.emplace_back(id, rounded);
  }
  return measured;
}

// InvalidArgument: a difficulty is not finite, or an id occurs twice.
absl::Status CheckTable(const std::string& path, const DifficultyTable& table) {
  std::set<std::string> seen;
  for (const auto& [id, difficulty] : table) {
    if (!std::isfinite(difficulty)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": the difficulty of ", id, " is ",
                                                     difficulty, ", want a finite number"));
    }
    if (!seen.insert(id).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": ", id, " occurs twice; keep one of its entries"));
    }
  }
  return absl::OkStatus();
}

std::string ToJsonFile(const MeasuredDifficulties& measured) {
  DifficultyFile file;
  if (measured.protocol.has_value()) {
    file.set_protocol(DataConfig::Protocol_Name(*measured.protocol));
  }
  for (const auto& [id, difficulty] : measured.table) {
    DifficultyFile::Entry* entry = file.add_conversations();
    entry->set_conversation(id);
    entry->set_difficulty(difficulty);
  }
  return ToJson(file, /*pretty=*/true);
}

std::string ToPickle(const DifficultyTable& table, bool numeric_ids) {
  pickle::Writer writer;
  writer.EmptyDict();
  writer.Mark();
  for (const auto& [id, difficulty] : table) {
    int64_t number = 0;
    // "068" is not 68.
    if (numeric_ids && absl::SimpleAtoi(id, &number) && absl::StrCat(number) == id) {
      writer.Int(number);
    } else {
      writer.String(id);
    }
    writer.Float(difficulty);
  }
  writer.SetItems();
  return std::move(writer).Finish();
}

}  // namespace

absl::StatusOr<MeasuredDifficulties> ReadDifficulties(const std::string& path) {
  ASSIGN_OR_RETURN(std::string bytes, ReadFile(path));
  const bool is_json = absl::StartsWith(absl::StripLeadingAsciiWhitespace(bytes), "{");
  ASSIGN_OR_RETURN(MeasuredDifficulties measured,
                   is_json ? FromJson(path, bytes) : FromPickle(path, std::move(bytes)));
  RETURN_IF_ERROR(CheckTable(path, measured.table));
  return measured;
}

absl::Status WriteDifficulties(const std::string& path, const MeasuredDifficulties& measured,
                               bool numeric_ids) {
  return WriteFileAtomically(path, absl::EndsWith(path, ".pkl")
                                       ? ToPickle(measured.table, numeric_ids)
                                       : ToJsonFile(measured));
}

}  // namespace cmerc
