#include <google/protobuf/any.pb.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "bin/commands.h"
#include "bin/output.h"
#include "bin/session.h"
#include "config/loader.h"
#include "config/paths.h"
#include "core/printable.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/export.h"
#include "datasets/inspect.h"
#include "datasets/records.pb.h"
#include "datasets/summary.h"
#include "profile/progress.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

// A format that can be written.
struct Format {
  const char* ending;
  OutputKind kind;
  absl::Status (*write)(const Dataset& dataset, const ByteSink& sink, OnConversation progress);
};

constexpr Format kFormats[] = {{".records", OutputKind::kRecords, &WriteRecords},
                               {".jsonl", OutputKind::kJsonLines, &WriteJsonLines},
                               {".npz", OutputKind::kNpz, &WriteNpz}};

constexpr char kWords[] = "want `cmerc data describe` or `cmerc data convert`";

// The words behind `describe` or `convert`.
std::vector<std::string> FilesOf(const Flags& flags) {
  return {flags.words().begin() + 1, flags.words().end()};
}

// Opens a record file or JSON Lines.
absl::StatusOr<std::unique_ptr<Dataset>> OpenConversations(const std::string& file) {
  RecordsOptions options;
  options.set_file(file);
  google::protobuf::Any any;
  any.PackFrom(options);
  return Datasets().Create(any);
}

// Opens the data set of --config, or the file that --input names. InvalidArgument: both are given,
// or neither, or the config names the file of --output.
absl::StatusOr<std::unique_ptr<Dataset>> DatasetOf(const Flags& flags) {
  if (flags.has("config") == flags.has("input")) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.has("config") ? "--config and --input are both given, want one"
                                         : "--config=FILE or --input=FILE is missing",
                     ": a config that names a data set, or a record file or JSON Lines"));
  }
  if (flags.has("config")) {
    ASSIGN_OR_RETURN(const RunConfig config,
                     LoadConfigAndWarn(flags.Get("config"), flags.All("set")));
    RETURN_IF_ERROR(CheckOutputIsNone(flags, PathsIn(config)));
    return OpenDataset(config);
  }
  if (flags.has("set")) {
    return absl::InvalidArgumentError(
        "--set changes a config, but --input names a file of conversations; give --config");
  }
  return Annotate(OpenConversations(flags.Get("input")), "--input");
}

// How many conversations are in a split.
int64_t CountInSplits(const Dataset& dataset) {
  return static_cast<int64_t>(dataset.split(Split::kTrain).size() +
                              dataset.split(Split::kValid).size() +
                              dataset.split(Split::kTest).size());
}

absl::Status DescribeDataset(const Dataset& dataset) {
  const int64_t total = CountInSplits(dataset);
  DatasetSummary summary;
  {
    Progress progress("describe", total, "conversation");
    ASSIGN_OR_RETURN(summary, CatchTorch([&] {
                       return Summarize(dataset, [&](int64_t done) { progress.Update(done, ""); });
                     }));
  }
  std::cout << "data  " << OneLine(summary.info.name) << "\n\n" << FormatSummary(summary);
  for (const auto& [modality, extractor] : ExtractorsOf(dataset)) {
    std::cout << "features of " << OneLine(modality) << " made by " << OneLine(extractor) << "\n";
  }
  return absl::OkStatus();
}

absl::Status Describe(const Flags& flags) {
  if (flags.has("output")) {
    return absl::InvalidArgumentError("--output is of `cmerc data convert`; describe prints");
  }
  const std::vector<std::string> files = FilesOf(flags);
  if (files.empty()) {
    ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, DatasetOf(flags));
    return DescribeDataset(*dataset);
  }
  if (flags.has("config") || flags.has("input") || flags.has("set")) {
    return absl::InvalidArgumentError(absl::StrCat(
        files[0], " is given beside --config, --input or --set; want a data set or files"));
  }
  for (const std::string& file : files) {
    if (!absl::EndsWith(file, ".textproto")) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        file, " is a config; its data are described by `cmerc data describe --config=", file, "`"));
  }
  if (files.size() == 1 && HoldsConversations(files[0])) {
    ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenConversations(files[0]));
    return DescribeDataset(*dataset);
  }
  ASSIGN_OR_RETURN(const std::string text, InspectFiles(files));
  std::cout << text;
  return absl::OkStatus();
}

// The format which --output ends in. InvalidArgument: none does.
absl::StatusOr<Format> FormatFor(const std::string& output) {
  for (const Format& format : kFormats) {
    if (absl::EndsWith(output, format.ending)) return format;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--output=", output, ", must end in .records, .jsonl or .npz"));
}

// What to write into a config to train from the file.
std::string ConfigFor(const std::string& output, const DatasetInfo& info) {
  std::string options = absl::StrCat("file: \"", absl::CEscape(output), "\"");
  if (absl::EndsWith(output, ".jsonl")) {  // which does not know their order
    for (const std::string& name : info.class_names) {
      absl::StrAppend(&options, " class_names: \"", absl::CEscape(name), "\"");
    }
  }
  return absl::StrCat("data { dataset { [type.googleapis.com/cmerc.RecordsOptions] { ", options,
                      " } } }");
}

absl::Status Convert(const Flags& flags) {
  const std::string output = flags.Get("output");
  if (!FilesOf(flags).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--config=FILE or --input=FILE names what to convert, but ", FilesOf(flags)[0],
                     " is given alone; `cmerc data describe ", FilesOf(flags)[0],
                     "` shows how a config names it"));
  }
  if (output.empty()) {
    return absl::InvalidArgumentError(
        "--output=FILE is missing (NAME.records, NAME.jsonl or NAME.npz)");
  }
  ASSIGN_OR_RETURN(const Format format, FormatFor(output));
  RETURN_IF_ERROR(CheckOutput(flags, format.kind));
  ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, DatasetOf(flags));
  for (const std::string& warning : WarningsOf(*dataset)) {
    std::cerr << "warning: " << warning << "\n";
  }
  const int64_t total = CountInSplits(*dataset);
  ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(output));
  int64_t bytes = 0;
  {
    Progress progress("convert", total, "conversation");
    const auto sink = [&](absl::string_view piece) {
      bytes += static_cast<int64_t>(piece.size());
      return file->Write(piece);
    };
    RETURN_IF_ERROR(CatchTorch([&] {
      return format.write(*dataset, sink, [&](int64_t done) { progress.Update(done, ""); });
    }));
  }
  RETURN_IF_ERROR(file->Commit());
  std::cout << total << " conversations written to " << output
            << absl::StrFormat(" (%.1f MB)\n", bytes / 1e6);
  if (dataset->size() > total) {
    std::cerr << "warning: " << dataset->size() - total
              << " conversations are in no split and were left out\n";
  }
  if (absl::EndsWith(output, ".npz")) return absl::OkStatus();
  std::cout << "in a config: " << ConfigFor(output, dataset->info()) << "\n";
  return absl::OkStatus();
}

}  // namespace

absl::Status DataCommand(const Flags& flags) {
  const std::string word = flags.words().empty() ? "" : flags.words()[0];
  if (word == "describe") return Describe(flags);
  if (word == "convert") return Convert(flags);
  return absl::InvalidArgumentError(
      word.empty() ? absl::StrCat("what to do with the data is missing, ", kWords)
                   : absl::StrCat("unknown word \"", word, "\", ", kWords));
}

}  // namespace cmerc
