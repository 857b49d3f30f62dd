// Root pacing: the easiest conversations first, many more in the first epochs and few in the last.
//
//   share(e) = min(1, (e (1 - c0^p) / T + c0^p)^(1/p)),   c0 = initial_share, T = epochs_to_full,
//                                                         p = power
//   Select(e) = the max(1, floor(share(e) * count)) easiest of `count` conversations
//
// Difficulty is a [count] list of floats, larger is harder; among equals the first is the easier.
// Source: Platanios et al., "Competence-based Curriculum Learning for Neural Machine Translation"
// (NAACL 2019), eq. 7 (p = 2) and 8, with epochs for its training steps.
//
//   scheduler { [type.googleapis.com/cmerc.RootOptions] { initial_share: 0.2 power: 3 } }
#include <memory>

#include "core/scheduler.h"
#include "schedulers/pacing.h"
#include "schedulers/root.pb.h"

namespace cmerc {
namespace {

absl::StatusOr<std::unique_ptr<Scheduler>> Create(const RootOptions& options) {
  const double initial_share = options.initial_share();
  const double power = options.power();
  return MakeGrowingCurriculum(
      Order::kEasiestFirst, initial_share, options.epochs_to_full(),
      [=](double progress) { return Competence(progress, initial_share, power); });
}

const Registered<RootOptions> kRegistered(Schedulers(), Create);

}  // namespace
}  // namespace cmerc
