#include "tests/packages/typed_shell.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace cmerc {
namespace {

constexpr char kPrompt[] = "ready> ";

bool EndsWithPrompt(const std::string& text) {
  const std::string prompt = kPrompt;
  return text.size() >= prompt.size() &&
         text.compare(text.size() - prompt.size(), prompt.size(), prompt) == 0;
}

}  // namespace

TypedShell::TypedShell(const std::string& folder) {
  winsize size = {};
  size.ws_row = 50;
  size.ws_col = 200;
  shell_ = forkpty(&terminal_, nullptr, nullptr, &size);
  if (shell_ == 0) {
    setenv("PS1", kPrompt, 1);
    setenv("TERM", "dumb", 1);
    setenv("INPUTRC", "/dev/null", 1);
    setenv("HISTFILE", "", 1);
    unsetenv("PROMPT_COMMAND");
    if (chdir(folder.c_str()) == 0) {
      execl("/bin/bash", "bash", "--noprofile", "--norc", "-i", nullptr);
    }
    _exit(127);
  }
  EXPECT_GT(shell_, 0);
  ReadToPrompt();
}

TypedShell::~TypedShell() {
  close(terminal_);  // which ends the shell
  waitpid(shell_, nullptr, 0);
}

std::string TypedShell::ReadToPrompt() {
  std::string text;
  while (!EndsWithPrompt(text)) {
    char piece[4096];
    const ssize_t length = read(terminal_, piece, sizeof(piece));
    if (length <= 0) {
      ADD_FAILURE() << "the shell ended: " << text;
      break;
    }
    text.append(piece, length);
  }
  return text;
}

std::string TypedShell::Type(const std::string& keys) {
  const std::string line = keys + "\n";
  EXPECT_EQ(write(terminal_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  return ReadToPrompt();
}

}  // namespace cmerc
