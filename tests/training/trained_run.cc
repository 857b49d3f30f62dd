#include "tests/training/trained_run.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "storage/checkpoint.h"
#include "tests/training/tiny_run.h"
#include "training/trainer.h"

namespace cmerc {

std::string Folder(const std::string& name) {
  const std::string folder = absl::StrCat(testing::TempDir(), "/", name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

std::string Bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<std::string> Lines(const std::string& path) {
  return absl::StrSplit(Bytes(path), '\n', absl::SkipEmpty());
}

std::vector<EpochReport> Epochs(const std::string& folder) {
  std::vector<EpochReport> epochs;
  for (const std::string& line : Lines(folder + "/metrics.jsonl")) {
    epochs.push_back(FromJson<EpochReport>(line));
  }
  return epochs;
}

bool SameState(const std::string& a, const std::string& b) {
  const StateDict first = ReadCheckpoint(a)->state;
  const StateDict second = ReadCheckpoint(b)->state;
  if (first.size() != second.size()) return false;
  for (const auto& [name, tensor] : first) {
    if (second.count(name) == 0 || !second.at(name).equal(tensor)) return false;
  }
  return true;
}

TrainedRun MustTrain(const RunConfig& config, const std::string& name) {
  TrainedRun run{Folder(name), Prepare(config), {}};
  absl::StatusOr<RunSummary> summary = Train(config, run.data, run.folder, {{"cmerc", "test"}});
  TORCH_CHECK(summary.ok(), summary.status().ToString());
  run.summary = *std::move(summary);
  return run;
}

}  // namespace cmerc
