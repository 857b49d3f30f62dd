// Linear pacing: the easiest conversations first, the same number more in every epoch.
//
//   share(e) = min(1, c0 + (1 - c0) e / T),   c0 = initial_share, T = epochs_to_full
//   Select(e) = the max(1, floor(share(e) * count)) easiest of `count` conversations
//
// Difficulty is a [count] list of floats, larger is harder; among equals the first is the easier.
// Source: Platanios et al., "Competence-based Curriculum Learning for Neural Machine Translation"
// (NAACL 2019), eq. 6, with epochs for its training steps.
//
//   scheduler { [type.googleapis.com/cmerc.LinearOptions] { initial_share: 0.2 epochs_to_full: 8 }
//   }
#include <memory>

#include "core/scheduler.h"
#include "schedulers/linear.pb.h"
#include "schedulers/pacing.h"

namespace cmerc {
namespace {

absl::StatusOr<std::unique_ptr<Scheduler>> Create(const LinearOptions& options) {
  const double initial_share = options.initial_share();
  return MakeGrowingCurriculum(
      Order::kEasiestFirst, initial_share, options.epochs_to_full(),
      [=](double progress) { return Competence(progress, initial_share, /*power=*/1); });
}

const Registered<LinearOptions> kRegistered(Schedulers(), Create);

}  // namespace
}  // namespace cmerc
