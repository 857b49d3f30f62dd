#include "training/restore_stage.h"

#include <ATen/Parallel.h>

#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "config/loader.h"
#include "core/status.h"
#include "storage/run_folder.h"
#include "training/digest.h"

namespace cmerc {
namespace {

// "after epoch 3" or "in epoch 4, after step 5".
std::string Place(const TrainingState& state) {
  const int epochs = state.progress.epochs();
  if (state.epoch.conversations.empty()) return absl::StrCat("after epoch ", epochs);
  return absl::StrCat("in epoch ", epochs + 1, ", after step ", state.epoch.steps);
}

// Warns where the number of threads or a version is not the one that the run was begun with: a
// resumed run is sure to give the same bits as one without interruption only where they are equal.
void WarnOfOtherMachine(const StagePlan& plan, const TrainingState& state,
                        const CheckpointMetadata& begun) {
  std::vector<std::string> differences;
  if (state.progress.threads() != at::get_num_threads()) {
    differences.push_back(
        absl::StrCat(state.progress.threads(), " threads (now ", at::get_num_threads(), ")"));
  }
  for (const auto& [name, version] : begun.versions()) {
    const auto now = plan.versions.find(name);
    if (now != plan.versions.end() && now->second != version) {
      differences.push_back(absl::StrCat(name, " ", version, " (now ", now->second, ")"));
    }
  }
  if (differences.empty()) return;
  std::cerr << "warning: the run was begun with " << absl::StrJoin(differences, ", ")
            << "; its end may differ in the last bits from one without interruption\n";
}

// InvalidArgument: the run was not begun as `plan` says.
absl::Status CheckBegunAlike(const StagePlan& plan, const TrainingState& state,
                             const CheckpointMetadata& begun) {
  if (ResolvedConfig(begun.config()) != ResolvedConfig(plan.config)) {
    return absl::InvalidArgumentError(absl::StrCat(
        ResumeFile(plan.output),
        ": is of a run with another config than config.textproto beside it; was one of them "
        "changed since? Begin again: --overwrite"));
  }
  if (plan.options.tensorboard && !state.progress.log().has_event_file()) {
    return absl::InvalidArgumentError(
        "--tensorboard: the interrupted run was begun without; leave it out");
  }
  return absl::OkStatus();
}

// DataLoss: `what` is wrong with selected.pth.
absl::Status ChangedSelection(const StagePlan& plan, const std::string& what) {
  return absl::DataLossError(absl::StrCat(plan.SelectedFile(), ": holds ", what, ", as ",
                                          ResumeFile(plan.output),
                                          " says; was it changed since? Begin again: --overwrite"));
}

// The weights of the best epoch so far.
absl::StatusOr<SelectedWeights> ReadSelected(const StagePlan& plan,
                                             const TrainingProgress& progress) {
  ASSIGN_OR_RETURN(Checkpoint best, ReadCheckpoint(plan.SelectedFile()));
  const int epoch = best.metadata.has_value() ? best.metadata->epoch() : 0;
  const bool is_trained_again =
      epoch > progress.epochs() && epoch <= plan.config.training().epochs();
  if (epoch != progress.selected_epoch() && !is_trained_again) {
    return ChangedSelection(plan, absl::StrCat("the weights of epoch ", epoch, ", want those of ",
                                               progress.selected_epoch()));
  }
  if (epoch == progress.selected_epoch() && progress.has_selected_digest() &&
      WeightsDigest(best.state) != progress.selected_digest()) {
    return ChangedSelection(
        plan, absl::StrCat("other weights than those that were selected after epoch ", epoch));
  }
  return SelectedWeights{std::move(best.state), epoch};
}

}  // namespace

absl::StatusOr<SelectedWeights> RestoreStage(const StagePlan& plan, TrainingState* state) {
  CheckpointMetadata begun;
  RETURN_IF_ERROR(RestoreTrainingState(ResumeFile(plan.output), plan.data, state, &begun));
  RETURN_IF_ERROR(CheckBegunAlike(plan, *state, begun));
  if (plan.learning_rate != nullptr && state->progress.scores_size() != state->progress.epochs()) {
    return absl::DataLossError(
        absl::StrCat(ResumeFile(plan.output),
                     ": lacks the scores of the epochs, which "
                     "training.learning_rate_schedule looks at; was it changed since? Begin again: "
                     "--overwrite"));
  }
  WarnOfOtherMachine(plan, *state, begun);
  std::cout << plan.label << "goes on " << Place(*state) << "\n" << std::flush;
  if (!state->progress.has_best()) return SelectedWeights();
  return ReadSelected(plan, state->progress);
}

}  // namespace cmerc
