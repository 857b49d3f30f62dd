#include "experiment/runner.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "config/loader.h"
#include "experiment/statistics.h"
#include "metrics/report.pb.h"
#include "storage/atomic_file.h"
#include "storage/folder_lock.h"
#include "storage/run_folder.h"

namespace cmerc {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What can be read of the rest of `in`: a folder or a broken disk throws at an istreambuf_iterator.
std::string Rest(std::ifstream& in) {
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return Rest(in);
}

absl::StatusOr<RunSummary> ReadSummary(const std::string& path) {
  RunSummary summary;
  const auto status = google::protobuf::util::JsonStringToMessage(Contents(path), &summary);
  if (!status.ok() || !summary.has_test()) {
    return absl::DataLossError(absl::StrCat(
        path, ": cannot be read as the summary of a run; remove its folder and run it again"));
  }
  return summary;
}

// Why a run failed: what `cmerc train` said last. A log may be of any size; its end is read.
std::string LastWords(const std::string& log) {
  constexpr std::streamoff kEnd = 1 << 14;
  std::ifstream in(log, std::ios::binary | std::ios::ate);
  in.seekg(std::max<std::streamoff>(0, in.tellg() - kEnd));
  const std::string text = absl::StrCat("\n", Rest(in));
  const std::string mark = "\ncmerc: ";
  const size_t error = text.rfind(mark);
  std::string words = error == std::string::npos ? "" : text.substr(error + mark.size());
  absl::StripAsciiWhitespace(&words);
  return words.empty() ? "see " + log : words;
}

struct Child {
  size_t run;
  Clock::time_point start;
};

// Starts `cmerc train` for a run; its process, or an error.
absl::StatusOr<pid_t> Start(const RunnerOptions& options, const std::string& folder, bool resume) {
  const std::string config = "--config=" + folder + "/config.textproto";
  const std::string output = "--output=" + folder;
  const std::string log = folder + "/train.log";
  const int descriptor = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return absl::UnavailableError(absl::StrCat("cannot write ", log, ": ", std::strerror(errno)));
  }
  const absl::Cleanup close_log = [descriptor] { close(descriptor); };
  const char* const arguments[] = {options.program.c_str(),
                                   "train",
                                   config.c_str(),
                                   output.c_str(),
                                   resume ? "--resume" : "--overwrite",
                                   nullptr};
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) {
    return absl::UnavailableError(absl::StrCat("cannot start a process: ", std::strerror(errno)));
  }
  if (child == 0) {
    // No run goes on unseen after its experiment has died.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    dup2(descriptor, STDOUT_FILENO);
    dup2(descriptor, STDERR_FILENO);
    execv(options.program.c_str(), const_cast<char* const*>(arguments));
    dprintf(STDERR_FILENO, "cmerc: cannot start %s: %s\n", options.program.c_str(),
            std::strerror(errno));
    _exit(127);
  }
  return child;
}

// Waits for a child that has been asked to stop and may want to save first; not for ever.
void StopChild(pid_t process) {
  constexpr std::chrono::seconds kPatience(60);
  const Clock::time_point start = Clock::now();
  while (waitpid(process, nullptr, WNOHANG) == 0) {
    if (Clock::now() - start > kPatience) {
      kill(process, SIGKILL);
      waitpid(process, nullptr, 0);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

std::string Ending(int status) {
  if (WIFSIGNALED(status)) return absl::StrCat("signal ", WTERMSIG(status));
  return absl::StrCat("exit status ", WEXITSTATUS(status));
}

// The rows of one dataset and variant: the run itself, and its uncalibrated model where there is
// one.
struct Scores {
  std::vector<uint64_t> seeds;
  std::vector<RunSummary> summaries;
  std::vector<std::string> folders;
};

// A run's predictions of the test split; empty where it has written none.
struct TestPredictions {
  std::vector<std::string> conversations;
  std::vector<int32_t> labels;     // [N]
  std::vector<int32_t> predicted;  // [N]
};

absl::StatusOr<TestPredictions> ReadPredictions(const std::string& path) {
  TestPredictions result;
  std::ifstream in(path, std::ios::binary);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    ConversationPredictions one;
    const auto status = google::protobuf::util::JsonStringToMessage(line, &one);
    bool usable = status.ok() && one.labels_size() == one.predicted_size() &&
                  one.labels_size() == one.probabilities_size();
    for (int i = 0; usable && i < one.labels_size(); ++i) {
      for (const int32_t c : {one.labels(i), one.predicted(i)}) {
        usable = usable && c >= 0 && c < one.probabilities(i).values_size();
      }
    }
    if (!usable) {
      return absl::DataLossError(absl::StrCat(
          path, ":", number,
          ": cannot be read as predictions; remove the folder of this run and run it again"));
    }
    result.conversations.push_back(absl::StrCat(one.id(), " ", one.labels_size()));
    result.labels.insert(result.labels.end(), one.labels().begin(), one.labels().end());
    result.predicted.insert(result.predicted.end(), one.predicted().begin(), one.predicted().end());
  }
  return result;
}

// Those of a folder are read once, however many variants are compared with it.
class PredictionFiles {
 public:
  absl::StatusOr<const TestPredictions*> Of(const std::string& folder) {
    const auto known = files_.find(folder);
    if (known != files_.end()) return &known->second;
    absl::StatusOr<TestPredictions> read = ReadPredictions(folder + "/test_predictions.jsonl");
    if (!read.ok()) return read.status();
    return &files_.emplace(folder, *std::move(read)).first->second;
  }

 private:
  std::map<std::string, TestPredictions> files_;
};

const PostHocReport* TemperatureOf(const RunSummary& summary) {
  for (const PostHocReport& one : summary.test().post_hoc()) {
    if (one.method() == "temperature") return &one;
  }
  return nullptr;
}

CalibrationStatistic DescribeCalibration(const std::vector<const CalibrationReport*>& reports) {
  const auto statistic = [&](double (CalibrationReport::*measure)() const) {
    std::vector<double> values;
    values.reserve(reports.size());
    for (const CalibrationReport* report : reports) values.push_back((report->*measure)());
    return Describe(values);
  };
  CalibrationStatistic result;
  *result.mutable_ece() = statistic(&CalibrationReport::ece);
  *result.mutable_nll() = statistic(&CalibrationReport::nll);
  *result.mutable_brier() = statistic(&CalibrationReport::brier);
  *result.mutable_e_aurc() = statistic(&CalibrationReport::e_aurc);
  return result;
}

ExperimentRow RowOf(const std::string& dataset, const std::string& variant, const Scores& scores) {
  ExperimentRow row;
  row.set_dataset(dataset);
  row.set_variant(variant);
  row.set_protocol(scores.summaries[0].protocol());
  std::vector<double> weighted_f1, accuracy, macro_f1, valid;
  std::vector<std::string> views;
  std::map<std::string, std::vector<double>> shares, scaled_shares;
  std::vector<const CalibrationReport*> calibration, scaled;
  for (size_t i = 0; i < scores.seeds.size(); ++i) {
    const RunSummary& summary = scores.summaries[i];
    row.add_seeds(scores.seeds[i]);
    row.add_weighted_f1_of_seeds(summary.test().weighted_f1());
    weighted_f1.push_back(summary.test().weighted_f1());
    accuracy.push_back(summary.test().accuracy());
    macro_f1.push_back(summary.test().macro_f1());
    if (summary.has_valid()) valid.push_back(summary.valid().weighted_f1());
    if (summary.test().has_calibration()) calibration.push_back(&summary.test().calibration());
    const PostHocReport* temperature = TemperatureOf(summary);
    if (temperature != nullptr) scaled.push_back(&temperature->calibration());
    for (int v = 0; v < summary.test().views_size(); ++v) {
      const ViewReport& view = summary.test().views(v);
      if (shares.count(view.view()) == 0) views.push_back(view.view());
      shares[view.view()].push_back(view.share_surer_without());
      if (temperature != nullptr && v < temperature->share_surer_without_size()) {
        scaled_shares[view.view()].push_back(temperature->share_surer_without(v));
      }
    }
  }
  *row.mutable_weighted_f1() = Describe(weighted_f1);
  *row.mutable_accuracy() = Describe(accuracy);
  *row.mutable_macro_f1() = Describe(macro_f1);
  if (!valid.empty()) *row.mutable_valid_weighted_f1() = Describe(valid);
  for (const std::string& view : views) {
    ViewStatistic* statistic = row.add_views();
    statistic->set_view(view);
    *statistic->mutable_share_surer_without() = Describe(shares[view]);
    if (scaled_shares[view].size() == scores.seeds.size()) {
      *statistic->mutable_share_surer_without_scaled() = Describe(scaled_shares[view]);
    }
  }
  // Rows of runs with and without them would compare different runs.
  if (calibration.size() == scores.seeds.size()) {
    *row.mutable_calibration() = DescribeCalibration(calibration);
  }
  if (scaled.size() == scores.seeds.size())
    *row.mutable_calibration_scaled() = DescribeCalibration(scaled);
  return row;
}

absl::Status Compare(const Scores& scores, const Scores& baseline, const std::string& name,
                     PredictionFiles* files, ExperimentRow* row) {
  std::vector<double> differences;
  std::vector<PairedPredictions> pairs;
  const TestPredictions* first = nullptr;
  for (size_t i = 0; i < scores.seeds.size(); ++i) {
    for (size_t j = 0; j < baseline.seeds.size(); ++j) {
      if (scores.seeds[i] != baseline.seeds[j]) continue;
      differences.push_back(scores.summaries[i].test().weighted_f1() -
                            baseline.summaries[j].test().weighted_f1());
      const absl::StatusOr<const TestPredictions*> ours = files->Of(scores.folders[i]);
      if (!ours.ok()) return ours.status();
      const absl::StatusOr<const TestPredictions*> theirs = files->Of(baseline.folders[j]);
      if (!theirs.ok()) return theirs.status();
      if (first == nullptr) first = *ours;
      const auto same_utterances = [first](const TestPredictions& other) {
        return other.conversations == first->conversations && other.labels == first->labels;
      };
      if (same_utterances(**ours) && same_utterances(**theirs)) {
        pairs.push_back({(*ours)->predicted, (*theirs)->predicted});
      }
    }
  }
  if (differences.empty()) return absl::OkStatus();
  Comparison* comparison = row->mutable_comparison();
  comparison->set_baseline(name);
  comparison->set_seeds(static_cast<int>(differences.size()));
  *comparison->mutable_difference() = Describe(differences);
  comparison->set_p_value(RandomisationTest(differences));
  if (pairs.size() == differences.size() && !first->labels.empty()) {
    UtteranceComparison* over_utterances = comparison->mutable_over_utterances();
    over_utterances->set_utterances(static_cast<int>(first->labels.size()));
    over_utterances->set_p_value(UtteranceRandomisationTest(first->labels, pairs));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> DoRuns(const std::vector<PlannedRun>& runs,
                                                const RunnerOptions& options) {
  const absl::StatusOr<FolderLock> lock = LockOutput(options.output);
  if (!lock.ok()) return lock.status();

  const size_t parallel = options.parallel_runs > 0
                              ? options.parallel_runs
                              : std::max(1u, std::thread::hardware_concurrency());
  // Where whoever started this process ignores SIGCHLD, the system forgets how a child ended.
  std::signal(SIGCHLD, SIG_DFL);
  std::map<pid_t, Child> children;
  const absl::Cleanup stop_children = [&children] {
    for (const auto& [process, child] : children) kill(process, SIGTERM);
    for (const auto& [process, child] : children) StopChild(process);
  };
  std::vector<std::string> failures;
  const Clock::time_point start = Clock::now();
  size_t next = 0, done = 0, kept = 0;
  while (next < runs.size() || !children.empty()) {
    if (next < runs.size() && children.size() < parallel) {
      const PlannedRun& run = runs[next];
      const std::string folder = absl::StrCat(options.output, "/", run.path());
      const std::string finished = folder + "/finished.txt";
      if (Contents(finished) == run.identity) {
        ++kept;
        ++next;
        continue;
      }
      std::error_code error;
      std::filesystem::create_directories(folder, error);
      if (error) {
        return absl::UnavailableError(absl::StrCat("cannot create ", folder, ": ", error.message(),
                                                   "; choose another --output"));
      }
      unlink(finished.c_str());
      // A run that was interrupted is gone on with, unless it is another one by now.
      const std::string begun = folder + "/begun.txt";
      const bool resume = Contents(begun) == run.identity;
      absl::Status status;
      if (!resume) {
        unlink(begun.c_str());
        status = FinishRun(folder);
        if (!status.ok()) return status;
        status = WriteFileAtomically(folder + "/config.textproto", ResolvedConfig(run.config));
        if (status.ok()) status = WriteFileAtomically(begun, run.identity);
        if (!status.ok()) return status;
      }
      const absl::StatusOr<pid_t> process = Start(options, folder, resume);
      if (!process.ok()) return process.status();
      children[*process] = {next, Clock::now()};
      ++next;
      continue;
    }
    int ending = 0;
    const pid_t process = waitpid(-1, &ending, 0);
    if (process < 0 && errno == EINTR) continue;
    if (process < 0) {
      return absl::InternalError(
          absl::StrCat("cannot wait for the running processes: ", std::strerror(errno)));
    }
    const auto found = children.find(process);
    if (found == children.end()) continue;
    const Child child = found->second;
    children.erase(found);
    ++done;
    const PlannedRun& run = runs[child.run];
    const std::string folder = absl::StrCat(options.output, "/", run.path());
    std::string outcome;
    const absl::StatusOr<RunSummary> summary =
        ending == 0 ? ReadSummary(folder + "/summary.json") : RunSummary();
    if (ending == 0 && summary.ok()) {
      const absl::Status written = WriteFileAtomically(folder + "/finished.txt", run.identity);
      if (!written.ok()) return written;
      outcome = absl::StrFormat("weighted F1 %.4f", summary->test().weighted_f1());
      if (summary->has_uncalibrated()) {
        absl::StrAppendFormat(&outcome, " (uncalibrated %.4f)",
                              summary->uncalibrated().test().weighted_f1());
      }
    } else {
      outcome = absl::StrCat(
          "failed with ", Ending(ending), ": ",
          ending == 0 ? std::string(summary.status().message()) : LastWords(folder + "/train.log"));
      failures.push_back(absl::StrCat(run.path(), ": ", outcome));
    }
    const size_t left = runs.size() - kept - done;
    const double seconds_left =
        SecondsSince(start) / static_cast<double>(done) * static_cast<double>(left);
    std::cout << absl::StrFormat("[%d/%d] %s: %s, %.0f s", kept + done, runs.size(), run.path(),
                                 outcome, SecondsSince(child.start));
    if (left > 0) std::cout << absl::StrFormat("; about %.0f min left", seconds_left / 60);
    std::cout << "\n" << std::flush;
  }
  if (kept > 0) std::cout << kept << " runs were finished already\n";
  return failures;
}

absl::StatusOr<ExperimentResults> GatherResults(const ExperimentPlan& plan,
                                                const std::vector<PlannedRun>& runs,
                                                const RunnerOptions& options) {
  const std::string uncalibrated = ", uncalibrated";
  // (dataset, row) -> its summaries, in the order of seeds.
  std::map<std::pair<std::string, std::string>, Scores> scores;
  std::vector<std::pair<std::string, std::string>> order;  // dataset and variant
  for (const PlannedRun& run : runs) {
    const std::pair<std::string, std::string> key(run.dataset, run.variant);
    if (std::find(order.begin(), order.end(), key) == order.end()) order.push_back(key);
    const std::string folder = absl::StrCat(options.output, "/", run.path());
    if (Contents(folder + "/finished.txt") != run.identity) continue;
    const absl::StatusOr<RunSummary> summary = ReadSummary(folder + "/summary.json");
    if (!summary.ok()) return summary.status();
    Scores& own = scores[key];
    own.seeds.push_back(run.seed);
    own.summaries.push_back(*summary);
    own.folders.push_back(folder);
    if (!summary->has_uncalibrated()) continue;
    Scores& plain = scores[{run.dataset, run.variant + uncalibrated}];
    plain.seeds.push_back(run.seed);
    plain.summaries.push_back(summary->uncalibrated());
    plain.folders.push_back(folder + "/uncalibrated");
  }
  std::map<std::string, std::string> baselines;
  for (const Variation& variant : plan.variants()) baselines[variant.name()] = variant.baseline();

  ExperimentResults results;
  PredictionFiles files;
  for (const auto& [dataset, variant] : order) {
    const auto own = scores.find({dataset, variant});
    if (own == scores.end()) continue;
    const std::string plain_name = variant + uncalibrated;
    const auto plain = scores.find({dataset, plain_name});
    if (plain != scores.end()) *results.add_rows() = RowOf(dataset, plain_name, plain->second);
    ExperimentRow* row = results.add_rows();
    *row = RowOf(dataset, variant, own->second);
    const std::string baseline = baselines[variant].empty() ? plain_name : baselines[variant];
    const auto against = scores.find({dataset, baseline});
    if (against == scores.end()) continue;
    const absl::Status compared = Compare(own->second, against->second, baseline, &files, row);
    if (!compared.ok()) return compared;
  }
  return results;
}

}  // namespace cmerc
