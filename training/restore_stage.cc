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

// The weights of the best epoch so far.
absl::StatusOr<StateDict> ReadSelected(const StagePlan& plan, const TrainingProgress& progress) {
  const std::string path = plan.SelectedFile();
  ASSIGN_OR_RETURN(Checkpoint best, ReadCheckpoint(path));
  // An epoch that was better and then cut short is trained again, and selected again.
  const int epoch = best.metadata.has_value() ? best.metadata->epoch() : -1;
  if (epoch != progress.selected_epoch() && epoch < progress.epochs()) {
    return absl::DataLossError(
        absl::StrCat(path, ": holds the weights of epoch ", epoch + 1, ", want those of ",
                     progress.selected_epoch() + 1, ", as ", ResumeFile(plan.output),
                     " says; was it changed since? Begin again: --overwrite"));
  }
  return std::move(best.state);
}

}  // namespace

absl::StatusOr<StateDict> RestoreStage(const StagePlan& plan, TrainingState* state) {
  CheckpointMetadata begun;
  RETURN_IF_ERROR(
      RestoreTrainingState(ResumeFile(plan.output), plan.data, plan.losses.size(), state, &begun));
  RETURN_IF_ERROR(CheckBegunAlike(plan, *state, begun));
  WarnOfOtherMachine(plan, *state, begun);
  std::cout << plan.label << "goes on " << Place(*state) << "\n" << std::flush;
  if (!state->progress.has_best()) return StateDict();
  return ReadSelected(plan, state->progress);
}

}  // namespace cmerc
