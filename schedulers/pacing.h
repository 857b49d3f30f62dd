// What the curricula share: the order of the conversations and how many of them an epoch gets. A
// curriculum is then a function from the epoch to a share of the conversations.
#ifndef CMERC_SCHEDULERS_PACING_H_
#define CMERC_SCHEDULERS_PACING_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "core/scheduler.h"

namespace cmerc {

enum class Order { kEasiestFirst, kHardestFirst };

// Select(epoch, difficulty) keeps the first max(1, floor(share(epoch) * count)) of `count`
// conversations in `order`; among equally difficult ones the first in the list comes first.
// share: epoch -> [0, 1], never falls and is 1 from some epoch on.
std::unique_ptr<Scheduler> MakeCurriculum(Order order, std::function<double(int64_t)> share);

// MakeCurriculum with
//   share(epoch) = max(initial_share, growth(epoch / epochs_to_full))   before epochs_to_full
//                  1                                                    from then on
// growth: [0, 1) -> [0, 1], never falls. initial_share is in (0, 1] and epochs_to_full >= 1, as the
// ranges in the .proto files have it.
std::unique_ptr<Scheduler> MakeGrowingCurriculum(Order order, double initial_share,
                                                 int64_t epochs_to_full,
                                                 std::function<double(double)> growth);

// Competence of Platanios et al. (2019), eq. 6 to 8, progress = t / T in [0, 1]:
//   (progress * (1 - initial_share^power) + initial_share^power)^(1 / power)
// power 1 is linear growth, 2 the square root; power >= 1.
double Competence(double progress, double initial_share, double power);

}  // namespace cmerc

#endif  // CMERC_SCHEDULERS_PACING_H_
