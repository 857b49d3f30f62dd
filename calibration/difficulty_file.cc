#include <google/protobuf/util/json_util.h>
#include <sys/stat.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "calibration/difficulty.h"
#include "calibration/difficulty.pb.h"
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

absl::StatusOr<DifficultyTable> FromJson(const std::string& path, const std::string& text) {
  DifficultyFile file;
  const auto status = google::protobuf::util::JsonStringToMessage(text, &file);
  if (!status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", FirstLine(std::string(status.message())),
                     "; want the file of `cmerc difficulty` or the official code's .pkl"));
  }
  DifficultyTable table;
  for (const auto& entry : file.conversations()) {
    if (!entry.has_conversation() || !entry.has_difficulty()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": conversations[", table.size(),
                                                     "] must have both a conversation and a "
                                                     "difficulty"));
    }
    table.emplace_back(entry.conversation(), entry.difficulty());
  }
  return table;
}

absl::StatusOr<DifficultyTable> FromPickle(const std::string& path, std::string bytes) {
  const absl::StatusOr<std::unique_ptr<pickle::Document>> document =
      pickle::Document::Parse(std::move(bytes), path);
  if (!document.ok()) return document.status();
  const pickle::Value& dict = (*document)->root();
  if (dict.kind() != pickle::Kind::kDict) {
    return (*document)->Error(dict,
                              absl::StrCat("want a dict of conversation id to difficulty, found ",
                                           pickle::Describe(dict)));
  }
  DifficultyTable table;
  for (size_t i = 0; i < dict.keys().size(); ++i) {
    const pickle::Value& key = *dict.keys()[i];
    std::string id;
    if (key.kind() == pickle::Kind::kInt) {
      id = absl::StrCat(key.int_value());
    } else {
      const absl::StatusOr<absl::string_view> text = (*document)->Text(key);
      if (!text.ok()) return text.status();
      id = std::string(*text);
    }
    const absl::StatusOr<double> difficulty = (*document)->Number(*dict.values()[i]);
    if (!difficulty.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(difficulty.status().message(), " (difficulty of ", id, ")"));
    }
    table.emplace_back(id, static_cast<float>(*difficulty));
  }
  return table;
}

}  // namespace

absl::StatusOr<DifficultyTable> ReadDifficulties(const std::string& path) {
  absl::StatusOr<std::string> bytes = ReadFile(path);
  if (!bytes.ok()) return bytes.status();
  const absl::string_view stripped = absl::StripLeadingAsciiWhitespace(*bytes);
  absl::StatusOr<DifficultyTable> table = absl::StartsWith(stripped, "{")
                                              ? FromJson(path, *bytes)
                                              : FromPickle(path, *std::move(bytes));
  if (!table.ok()) return table;
  std::set<std::string> seen;
  for (const auto& [id, difficulty] : *table) {
    if (!std::isfinite(difficulty)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": the difficulty of ", id, " is ",
                                                     difficulty, ", want a finite number"));
    }
    if (!seen.insert(id).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": ", id, " occurs twice; keep one of its entries"));
    }
  }
  return table;
}

absl::Status WriteDifficulties(const std::string& path, const DifficultyTable& table,
                               bool numeric_ids) {
  if (!absl::EndsWith(path, ".pkl")) {
    DifficultyFile file;
    for (const auto& [id, difficulty] : table) {
      DifficultyFile::Entry* entry = file.add_conversations();
      entry->set_conversation(id);
      entry->set_difficulty(difficulty);
    }
    return WriteFileAtomically(path, ToJson(file, /*pretty=*/true));
  }
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
  return WriteFileAtomically(path, std::move(writer).Finish());
}

}  // namespace cmerc
