// How a run is trained, beside what its config says.
#ifndef CMERC_TRAINING_TRAIN_OPTIONS_H_
#define CMERC_TRAINING_TRAIN_OPTIONS_H_

#include <functional>

#include "absl/status/statusor.h"
#include "processes/process_group.h"

namespace cmerc {

struct TrainOptions {
  // Records steps 2 to 9 of the first epoch of the calibrated model: prints where their time went,
  // and writes trace.json for chrome://tracing.
  bool profile = false;
  // Writes events.out.tfevents.* for TensorBoard.
  bool tensorboard = false;
  // Goes on with the run that `output` holds, where it was interrupted, and ends with the same bits
  // as one that was not (but for times). Where nothing was saved yet it begins.
  bool resume = false;
  // Above 0: training ends with Cancelled after so many epochs of the model, or all of them where
  // there are fewer, once all is saved that `resume` needs. What its config plans for all epochs
  // (the learning rate, the curriculum) stays as it is, and no split but the one that selects the
  // epoch is looked at. The model without calibration is trained to its end.
  int stop_after = 0;
  // Asked between steps: true ends training with Cancelled, once all is saved that `resume` needs.
  std::function<bool()> should_stop;
  // The processes that train the model together, with training.parts: all of them call Train() with
  // the same arguments, and see the same folder. Only rank 0 writes into it. Null: this process
  // alone.
  ProcessGroup* processes = nullptr;

  // Whether this process is the one that writes.
  bool Writes() const { return processes == nullptr || processes->rank() == 0; }

  // Whether training is to end now: whether any of the processes is asked to. Unavailable: one is
  // gone.
  absl::StatusOr<bool> StopRequested() const {
    const bool stop = should_stop != nullptr && should_stop();
    return processes == nullptr ? stop : processes->Any(stop, "whether to stop");
  }
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_TRAIN_OPTIONS_H_
