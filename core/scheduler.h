// What a scheduler plugin provides: which conversations a model trains on in each epoch.
#ifndef CMERC_CORE_SCHEDULER_H_
#define CMERC_CORE_SCHEDULER_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "registry/registry.h"

namespace cmerc {

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  // Whether Select looks at the difficulties; if not, they may all be 0.
  virtual bool needs_difficulty() const = 0;

  // The indices into `difficulty` to train on in `epoch` (0, 1, ...), ascending, without repeats.
  // Difficulties are finite, larger is harder; equal ones keep their order. Laws: never empty when
  // `difficulty` is not; every conversation is selected in all epochs from some epoch on.
  virtual std::vector<int64_t> Select(int64_t epoch, absl::Span<const float> difficulty) const = 0;
};

// options -> scheduler.
Registry<Scheduler>& Schedulers();

}  // namespace cmerc

#endif  // CMERC_CORE_SCHEDULER_H_
