// Runs all benchmarks, one binary after the other, and writes one Markdown table:
//
//   bazel run //benchmarks:report
//   bazel run //benchmarks:report -- --output=benchmarks.md --threads=2 --filter='Step|Forward'
//
// All of them take about a quarter of an hour; --min_time=0.05 shortens that. Progress goes to
// standard error.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "benchmarks/report_table.h"
#include "bin/environment.h"
#include "bin/flags.h"
#include "core/status.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

std::vector<FlagSpec> ReportFlags() {
  using Kind = FlagSpec::Kind;
  return {{"output", Kind::kValue, "where the table goes; default: standard output", "FILE"},
          {"threads", Kind::kValue, "OMP_NUM_THREADS of the benchmarks; default: 2", "N"},
          {"filter", Kind::kValue, "only the benchmarks whose name matches", "REGEX"},
          {"min_time", Kind::kValue, "seconds that each is repeated for; default: 0.5", "SECONDS"}};
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The first "name : value" of /proc/cpuinfo.
std::string Processor() {
  for (absl::string_view line : absl::StrSplit(ReadFile("/proc/cpuinfo"), '\n')) {
    if (!absl::ConsumePrefix(&line, "model name")) continue;
    return std::string(absl::StripLeadingAsciiWhitespace(line.substr(line.find(':') + 1)));
  }
  return "unknown processor";
}

std::string Memory() {
  for (absl::string_view line : absl::StrSplit(ReadFile("/proc/meminfo"), '\n')) {
    int64_t kibibytes = 0;
    if (absl::ConsumePrefix(&line, "MemTotal:") && absl::ConsumeSuffix(&line, " kB") &&
        absl::SimpleAtoi(line, &kibibytes)) {
      return absl::StrCat((kibibytes + (1 << 19)) >> 20, " GiB");
    }
  }
  return "unknown memory";
}

// A file that is gone afterwards.
class TemporaryFile {
 public:
  TemporaryFile() : path_(std::string(Folder()) + "/benchmark_report_XXXXXX") {
    const int file = mkstemp(path_.data());
    if (file >= 0) close(file);
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  static const char* Folder() {
    const char* folder = std::getenv("TMPDIR");
    return folder != nullptr ? folder : "/tmp";
  }
  std::string path_;
};

// The exit status of a program, its standard output thrown away; -1: it did not end by itself.
int RunProgram(const std::vector<std::string>& words) {
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    if (std::freopen("/dev/null", "w", stdout) == nullptr) _exit(127);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

absl::StatusOr<std::string> Report(const Flags& flags) {
  int threads = 2;
  if (flags.has("threads") && (!absl::SimpleAtoi(flags.Get("threads"), &threads) || threads < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads=", flags.Get("threads"), ": want a number >= 1"));
  }
  double min_time = 0.5;
  if (flags.has("min_time") &&
      (!absl::SimpleAtod(flags.Get("min_time"), &min_time) || !(min_time > 0))) {
    return absl::InvalidArgumentError(
        absl::StrCat("--min_time=", flags.Get("min_time"), ": want seconds above 0"));
  }
  if (flags.words().empty()) {
    return absl::InvalidArgumentError("no benchmarks; run `bazel run //benchmarks:report`");
  }
  setenv("OMP_NUM_THREADS", absl::StrCat(threads).c_str(), /*overwrite=*/1);
  std::string rows;
  for (const std::string& binary : flags.words()) {
    const std::string file = binary.substr(binary.rfind('/') + 1);
    const std::string component(absl::StripSuffix(file, "_benchmark"));
    std::cerr << component << " ..." << std::endl;
    const TemporaryFile json;
    std::vector<std::string> words = {binary, absl::StrCat("--benchmark_out=", json.path()),
                                      "--benchmark_out_format=json",
                                      absl::StrCat("--benchmark_min_time=", min_time)};
    if (flags.has("filter")) {
      words.push_back(absl::StrCat("--benchmark_filter=", flags.Get("filter")));
    }
    const int status = RunProgram(words);
    if (status != 0) {
      return absl::UnavailableError(absl::StrCat(binary, " failed with exit status ", status));
    }
    const std::string text = ReadFile(json.path());
    if (text.empty()) continue;  // the filter left nothing
    ASSIGN_OR_RETURN(const std::string more, TableRows(component, text));
    rows += more;
  }
  std::string versions;
  for (const auto& [name, version] : Versions()) {
    absl::StrAppend(&versions, versions.empty() ? "" : "; ", name, " ", version);
  }
  return absl::StrCat("# Benchmarks\n\n", Processor(), ", ", std::thread::hardware_concurrency(),
                      " processors, ", Memory(), "; ", threads,
                      threads == 1 ? " thread" : " threads", "; each repeated for ", min_time,
                      " s or more.\n\n", versions, ".\n\n", TableHead(), rows);
}

int Main(int argc, char** argv) {
  const absl::StatusOr<Flags> flags =
      Flags::Parse(std::vector<std::string>(argv + 1, argv + argc), ReportFlags(),
                   /*max_words=*/100);
  if (!flags.ok()) {
    std::cerr << flags.status().message() << "\n";
    return 2;
  }
  const absl::StatusOr<std::string> report = Report(*flags);
  if (!report.ok()) {
    std::cerr << report.status().message() << "\n";
    return report.status().code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
  }
  std::string output = flags->Get("output");
  if (output.empty()) {
    std::cout << *report;
    return 0;
  }
  // `bazel run` starts programs elsewhere.
  const char* folder = std::getenv("BUILD_WORKING_DIRECTORY");
  if (folder != nullptr && output[0] != '/') output = absl::StrCat(folder, "/", output);
  const absl::Status written = WriteFileAtomically(output, *report);
  if (!written.ok()) std::cerr << written.message() << "\n";
  return written.ok() ? 0 : 1;
}

}  // namespace
}  // namespace cmerc

int main(int argc, char** argv) { return cmerc::Main(argc, argv); }
