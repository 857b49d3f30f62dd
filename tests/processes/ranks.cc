#include "tests/processes/ranks.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>

#include "absl/strings/str_cat.h"
#include "processes/join.h"
#include "tests/bin/files.h"

namespace cmerc {

Ranks::~Ranks() {
  for (const Child& child : children_) {
    kill(child.process, SIGKILL);
    waitpid(child.process, nullptr, 0);
    close(child.output);
  }
}

pid_t Ranks::Start(const ProcessIdentity& identity, const RankWork& work,
                   std::chrono::milliseconds patience, const std::function<void()>& before) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t process = fork();
  if (process == 0) {
    close(ends[0]);
    if (before != nullptr) before();
    std::string result;
    {
      absl::StatusOr<std::unique_ptr<ProcessGroup>> group = Join(identity, folder_, patience);
      result = group.ok() ? work(**group) : group.status().ToString();
    }
    const bool written =
        write(ends[1], result.data(), result.size()) == static_cast<ssize_t>(result.size());
    // The usual end, with all destructors of libraries, while threads of Gloo may be left.
    std::exit(written ? 0 : 1);
  }
  close(ends[1]);
  children_.push_back({process, ends[0]});
  return process;
}

std::vector<std::string> Ranks::Results() {
  std::vector<std::string> results;
  for (const Child& child : children_) {
    std::string text;
    char buffer[4096];
    ssize_t size;
    while ((size = read(child.output, buffer, sizeof(buffer))) > 0 || errno == EINTR) {
      if (size <= 0) break;
      text.append(buffer, static_cast<size_t>(size));
    }
    int status = 0;
    EXPECT_EQ(waitpid(child.process, &status, 0), child.process);
    if (WIFSIGNALED(status)) absl::StrAppend(&text, "killed by ", WTERMSIG(status));
    if (WIFEXITED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
    }
    close(child.output);
    results.push_back(text);
  }
  children_.clear();
  return results;
}

ProcessIdentity RankOf(int rank, int size) {
  ProcessIdentity identity;
  identity.rank = rank;
  identity.size = size;
  return identity;
}

std::vector<std::string> RunRanks(int size, const RankWork& work) {
  Ranks ranks(NewFolder());
  // The last one comes first.
  for (int rank = size - 1; rank >= 0; --rank) ranks.Start(RankOf(rank, size), work);
  std::vector<std::string> results = ranks.Results();
  return {results.rbegin(), results.rend()};
}

}  // namespace cmerc
