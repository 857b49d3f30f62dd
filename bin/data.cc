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
#include "bin/session.h"
#include "config/loader.h"
#include "core/torch_status.h"
#include "datasets/export.h"
#include "datasets/records.pb.h"
#include "datasets/summary.h"
#include "profile/progress.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

using Write = absl::Status (*)(const Dataset& dataset, const ByteSink& sink,
                               OnConversation progress);

constexpr char kWords[] = "want `cmerc data describe` or `cmerc data convert`";

// --config's data set, or the file --input.
absl::StatusOr<std::unique_ptr<Dataset>> DatasetOf(const Flags& flags) {
  if (flags.has("config") == flags.has("input")) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.has("config") ? "--config and --input are both given, want one"
                                         : "--config=FILE or --input=FILE is missing",
                     ": a config that names a data set, or a record file or JSON Lines"));
  }
  if (flags.has("config")) {
    const absl::StatusOr<RunConfig> config =
        LoadConfigAndWarn(flags.Get("config"), flags.All("set"));
    if (!config.ok()) return config.status();
    return OpenDataset(*config);
  }
  if (flags.has("set")) {
    return absl::InvalidArgumentError(
        "--set changes a config, but --input names a file of conversations; give --config");
  }
  RecordsOptions options;
  options.set_file(flags.Get("input"));
  google::protobuf::Any any;
  any.PackFrom(options);
  absl::StatusOr<std::unique_ptr<Dataset>> dataset = Datasets().Create(any);
  if (dataset.ok()) return dataset;
  return absl::Status(dataset.status().code(),
                      absl::StrCat("--input: ", dataset.status().message()));
}

// The conversations that are in a split.
int64_t Conversations(const Dataset& dataset) {
  return static_cast<int64_t>(dataset.split(Split::kTrain).size() +
                              dataset.split(Split::kValid).size() +
                              dataset.split(Split::kTest).size());
}

absl::Status Describe(const Flags& flags) {
  if (flags.has("output")) {
    return absl::InvalidArgumentError("--output is of `cmerc data convert`; describe prints");
  }
  const absl::StatusOr<std::unique_ptr<Dataset>> dataset = DatasetOf(flags);
  if (!dataset.ok()) return dataset.status();
  const int64_t total = Conversations(**dataset);
  absl::StatusOr<DatasetSummary> summary;
  {
    Progress progress("describe", total, "conversation");
    auto summarized = CatchTorch(
        [&] { return Summarize(**dataset, [&](int64_t done) { progress.Update(done, ""); }); });
    if (!summarized.ok()) return summarized.status();
    summary = *std::move(summarized);
  }
  if (!summary.ok()) return summary.status();
  std::cout << "data  " << summary->info.name << "\n\n" << FormatSummary(*summary);
  return absl::OkStatus();
}

// By the ending of --output.
absl::StatusOr<Write> WriterFor(const std::string& output) {
  if (absl::EndsWith(output, ".records")) return &WriteRecords;
  if (absl::EndsWith(output, ".jsonl")) return &WriteJsonLines;
  if (absl::EndsWith(output, ".npz")) return &WriteNpz;
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
  if (output.empty()) {
    return absl::InvalidArgumentError(
        "--output=FILE is missing (NAME.records, NAME.jsonl or NAME.npz)");
  }
  const absl::StatusOr<Write> write = WriterFor(output);
  if (!write.ok()) return write.status();
  const absl::Status writable = CheckWritableFile(output);
  if (!writable.ok()) return writable;
  const absl::StatusOr<std::unique_ptr<Dataset>> dataset = DatasetOf(flags);
  if (!dataset.ok()) return dataset.status();
  const int64_t total = Conversations(**dataset);
  const absl::StatusOr<std::unique_ptr<AtomicFile>> file = AtomicFile::Create(output);
  if (!file.ok()) return file.status();
  int64_t bytes = 0;
  {
    Progress progress("convert", total, "conversation");
    const auto sink = [&](absl::string_view piece) {
      bytes += static_cast<int64_t>(piece.size());
      return (*file)->Write(piece);
    };
    absl::Status written;
    const absl::StatusOr<bool> ran = CatchTorch([&] {
      written = (*write)(**dataset, sink, [&](int64_t done) { progress.Update(done, ""); });
      return true;
    });
    if (!ran.ok()) return ran.status();
    if (!written.ok()) return written;
  }
  const absl::Status committed = (*file)->Commit();
  if (!committed.ok()) return committed;
  std::cout << total << " conversations written to " << output
            << absl::StrFormat(" (%.1f MB)\n", bytes / 1e6);
  if ((*dataset)->size() > total) {
    std::cerr << "warning: " << (*dataset)->size() - total
              << " conversations are in no split and were left out\n";
  }
  if (absl::EndsWith(output, ".npz")) return absl::OkStatus();
  std::cout << "in a config: " << ConfigFor(output, (*dataset)->info()) << "\n";
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
