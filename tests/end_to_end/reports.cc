#include "tests/end_to_end/reports.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "absl/strings/str_split.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

template <typename Message>
Message FromJson(const std::string& json) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &message);
  EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << json;
  return message;
}

}  // namespace

RunSummary ReadSummary(const std::string& run) {
  return FromJson<RunSummary>(ReadFile(run + "/summary.json"));
}

std::vector<EpochReport> ReadMetrics(const std::string& run) {
  std::vector<EpochReport> epochs;
  const std::string lines = ReadFile(run + "/metrics.jsonl");
  for (const auto& line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
    epochs.push_back(FromJson<EpochReport>(std::string(line)));
  }
  return epochs;
}

EvaluationReport ReadEvaluation(const std::string& path) {
  return FromJson<EvaluationReport>(ReadFile(path));
}

std::string NewFolderWithRun() {
  std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  const Outcome outcome = RunCmerc({"train", "--config=tiny.textproto", "--output=run",
                                    "--set=training { epochs: 3 learning_rate: 0.01 }"},
                                   folder);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  return folder;
}

}  // namespace cmerc
