// Geometric pacing: the easiest conversations first, the same factor more in every epoch.
//
//   share(e) = min(1, 2^(log2(c0) + (log2(1) - log2(c0)) e / T)) = min(1, c0^(1 - e / T)),
//              c0 = initial_share, T = epochs_to_full
//   Select(e) = the max(1, floor(share(e) * count)) easiest of `count` conversations
//
// Difficulty is a [count] list of floats, larger is harder; among equals the first is the easier.
// Source: "geometric progression" in Penha and Hauff, "Curriculum Learning Strategies for IR"
// (ECIR 2020), and in Wang et al., "A Survey on Curriculum Learning" (TPAMI 2021), with epochs for
// their training steps.
//
//   scheduler { [type.googleapis.com/cmerc.GeometricOptions] { initial_share: 0.3 } }
#include <cmath>
#include <memory>

#include "core/scheduler.h"
#include "schedulers/geometric.pb.h"
#include "schedulers/pacing.h"

namespace cmerc {
namespace {

absl::StatusOr<std::unique_ptr<Scheduler>> Create(const GeometricOptions& options) {
  const double initial_share = options.initial_share();
  return MakeGrowingCurriculum(
      Order::kEasiestFirst, initial_share, options.epochs_to_full(),
      [=](double progress) { return std::pow(initial_share, 1 - progress); });
}

const Registered<GeometricOptions> kRegistered(Schedulers(), Create);

}  // namespace
}  // namespace cmerc
