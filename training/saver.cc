#include "training/saver.h"

#include "core/status.h"

namespace cmerc {

absl::Status Saver::Save(TrainingState& state) {
  const Stopwatch stopwatch;
  ASSIGN_OR_RETURN(*state.progress.mutable_log(), log_.Sync());
  absl::Status saved = SaveTrainingState(path_, state, metadata_);
  since_saved_ = Stopwatch();
  took_seconds_ = stopwatch.Seconds();
  return saved;
}

}  // namespace cmerc
