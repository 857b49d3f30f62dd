// The front door: trains a backbone, calibrated or not, as a RunConfig says.
#ifndef CMERC_TRAINING_TRAINER_H_
#define CMERC_TRAINING_TRAINER_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "calibration/prepared_data.h"
#include "config/run.pb.h"
#include "metrics/report.pb.h"
#include "training/train_options.h"

namespace cmerc {

// Trains and writes into the folder `output`, which exists (what an earlier run left there goes
// first, and not before the config is known to fit the data):
//   config.textproto  `config` with every default
//   metrics.jsonl     an EpochReport a line, without the bins of CalibrationReport; the same bytes
//                     for the same seed, machine and threads
//   timing.jsonl      a TimingReport a line
//   curriculum.json   a CurriculumReport, with a scheduler
//   summary.json      a RunSummary
//   test_predictions.jsonl
//                     of the selected weights: a PredictedConversation a line; not without a test
//                     split
//   selected.pth      the weights of the epoch that the protocol selects
//   last.pth          of the last one; with training.ema_decay both are averages up to then
//   uncalibrated/     the same for the model without calibration, with
//                     training.compare_uncalibrated
//   resume.pth        until the run is finished: what is needed to go on with it
//                     (training/resume.h)
// `config` has passed LoadConfig() and, with `resume`, is that of the run; `versions` goes into the
// summary and the checkpoints. The caller sees to it that no other process writes into `output`
// (storage/folder_lock.h).
//
// InvalidArgument: the config does not fit the data (all that is wrong with its plugins at once, a
// line each), a batch that is known before is too large (training/known_batches.h), or what
// `resume` finds does not fit config and data. Cancelled: options.should_stop said so, or
// options.stop_after epochs are trained. Unavailable:
// `output` was moved or deleted meanwhile; that is seen when it is next saved; or one of
// options.processes is gone. OutOfRange: a loss,
// a gradient or a buffer is not finite (see TrainStep()). FailedPrecondition: what would have been
// InvalidArgument before anything was written, such as a batch that the backbone refuses. Other
// codes: a file cannot be read or written, or LibTorch failed. What was written until then stays.
absl::StatusOr<RunSummary> Train(const RunConfig& config, const PreparedData& data,
                                 const std::string& output,
                                 const std::map<std::string, std::string>& versions,
                                 const TrainOptions& options = {});

}  // namespace cmerc

#endif  // CMERC_TRAINING_TRAINER_H_
