#include "bin/stop_signal.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <initializer_list>

namespace cmerc {
namespace {

volatile std::sig_atomic_t noted = 0;
const char* text = "";  // what to say then

void Note(int signal) {
  if (noted != 0) {
    std::signal(signal, SIG_DFL);
    raise(signal);  // delivered when this handler returns
    return;
  }
  noted = signal;
  const int error = errno;
  const ssize_t ignored = write(STDERR_FILENO, text, std::strlen(text));
  static_cast<void>(ignored);
  errno = error;
}

}  // namespace

void CatchStopSignals(const char* message) {
  text = message;
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action {};
    if (sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = Note;
    action.sa_flags = SA_RESTART;
    sigaction(signal, &action, nullptr);
  }
}

int StopSignal() { return noted; }

void NoteStopOfAll() {
  if (noted == 0) noted = SIGTERM;
}

}  // namespace cmerc
