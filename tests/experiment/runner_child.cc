// Stands in for `cmerc train` in runner_test: does what the name of its variant says, which is the
// last folder but one of --output=. FIFOs of the experiment's folder make processes wait for each
// other.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>

namespace {

// Returns once another process has opened the other end.
void Meet(const std::string& fifo, int flags) { close(open(fifo.c_str(), flags)); }

void WriteSummary(const std::string& folder) {
  std::ofstream(folder + "/summary.json") << R"({"test":{"weighted_f1":0.5}})";
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder;
  bool resumes = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.rfind("--output=", 0) == 0) folder = argument.substr(9);
    if (argument == "--resume") resumes = true;
  }
  const std::string variants = folder.substr(0, folder.rfind('/'));
  const std::string experiment = variants.substr(0, variants.rfind('/'));
  const std::string kind = variants.substr(experiment.size() + 1);

  if (kind == "works") WriteSummary(folder);
  if (kind == "is_interrupted" && !resumes) return 130;
  if (kind == "is_interrupted") WriteSummary(folder);
  if (kind == "dies") return 3;
  if (kind == "complains") {
    std::fputs("epoch 1/2\ncmerc: the disk is full\n", stderr);
    return 1;
  }
  if (kind == "is_killed") raise(SIGKILL);
  if (kind == "garbage") std::ofstream(folder + "/summary.json") << "{";
  if (kind == "floods" || kind == "floods_last") {
    const std::string line(1023, 'x');
    if (kind == "floods_last") std::puts("cmerc: long ago");
    for (int i = 0; i < 4096; ++i) std::puts(line.c_str());
    std::fflush(stdout);
    if (kind == "floods") std::puts("cmerc: the end");
    return 1;
  }
  // A process that outlives its parent and holds the log.
  if (kind == "leaves_a_process") {
    if (fork() == 0) {
      Meet(experiment + "/release", O_RDONLY);
      return 0;
    }
    WriteSummary(folder);
  }
  if (kind == "leaves_an_orphan") {
    if (fork() == 0) return 0;
    WriteSummary(folder);
  }
  if (kind == "is_slow") {
    Meet(experiment + "/gate", O_RDONLY);
    WriteSummary(folder);
  }
  if (kind == "opens_the_gate") {
    Meet(experiment + "/gate", O_WRONLY);
    WriteSummary(folder);
  }
  if (kind == "never_ends") {
    Meet(experiment + "/gate", O_WRONLY);
    for (;;) pause();
  }
  // Waits for the one that never ends; then nobody can write that it has finished.
  if (kind == "cannot_finish") {
    Meet(experiment + "/gate", O_RDONLY);
    mkdir((folder + "/finished.txt").c_str(), 0700);
    mkdir((folder + "/finished.txt/occupied").c_str(), 0700);
    WriteSummary(folder);
  }
  return 0;
}
