// Stopping when the user asks for it: after the step, once all is saved.
#ifndef CMERC_BIN_STOP_SIGNAL_H_
#define CMERC_BIN_STOP_SIGNAL_H_

namespace cmerc {

// What is said of training that is saved when it stops.
inline constexpr char kStopsAfterStep[] =
    "\nstopping after this step, to go on later; once more stops at once\n";

// What is said where a cluster does the work.
inline constexpr char kLeavesJobs[] =
    "\nstopping; the jobs that were submitted go on; once more stops at once\n";

// From now on the first SIGINT or SIGTERM is only noted, and `message`, which must live as long as
// the process, is written to standard error; the next one ends the process at once. A signal that
// whoever started this process has it ignore (nohup, a job of a script) stays ignored.
void CatchStopSignals(const char* message);

// The signal that was noted; 0: none.
int StopSignal();

// Where no signal was noted, as if it had been SIGTERM: another process was told to stop, and this
// one stops with it.
void NoteStopOfAll();

}  // namespace cmerc

#endif  // CMERC_BIN_STOP_SIGNAL_H_
