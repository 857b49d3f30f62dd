// Anti-curriculum: the hardest conversations first, the same number more in every epoch. The
// mirror image of schedulers/linear.cc.
//
//   share(e) = min(1, c0 + (1 - c0) e / T),   c0 = initial_share, T = epochs_to_full
//   Select(e) = the max(1, floor(share(e) * count)) hardest of `count` conversations
//
// Difficulty is a [count] list of floats, larger is harder; among equals the first is the harder.
// Source: "anti-curriculum" in Hacohen and Weinshall, "On The Power of Curriculum Learning in
// Training Deep Networks" (ICML 2019), which reverses the order and keeps the pacing.
//
//   scheduler { [type.googleapis.com/cmerc.AntiOptions] { initial_share: 0.2 epochs_to_full: 8 } }
#include <memory>

#include "core/scheduler.h"
#include "schedulers/anti.pb.h"
#include "schedulers/pacing.h"

namespace cmerc {
namespace {

absl::StatusOr<std::unique_ptr<Scheduler>> Create(const AntiOptions& options) {
  const double initial_share = options.initial_share();
  return MakeGrowingCurriculum(
      Order::kHardestFirst, initial_share, options.epochs_to_full(),
      [=](double progress) { return Competence(progress, initial_share, /*power=*/1); });
}

const Registered<AntiOptions> kRegistered(Schedulers(), Create);

}  // namespace
}  // namespace cmerc
