// Stopping when the user asks for it: after the step, once all is saved.
#ifndef CMERC_BIN_STOP_SIGNAL_H_
#define CMERC_BIN_STOP_SIGNAL_H_

namespace cmerc {

// From now on the first SIGINT or SIGTERM is only noted; the next one ends the process at once. A
// signal that whoever started this process has it ignore (nohup, a job of a script) stays ignored.
void CatchStopSignals();

// The signal that was noted; 0: none.
int StopSignal();

}  // namespace cmerc

#endif  // CMERC_BIN_STOP_SIGNAL_H_
