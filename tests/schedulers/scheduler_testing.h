// Schedulers from the text of a config.
#ifndef CMERC_TESTS_SCHEDULERS_SCHEDULER_TESTING_H_
#define CMERC_TESTS_SCHEDULERS_SCHEDULER_TESTING_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/scheduler.h"

namespace cmerc {

// SchedulerFromText("cmerc.BabyStepOptions", "epoch_ratio: 0.4"). What Schedulers().Create() says,
// or InvalidArgument for a text that does not parse.
absl::StatusOr<std::unique_ptr<Scheduler>> SchedulerFromText(const std::string& type,
                                                             const std::string& options);

}  // namespace cmerc

#endif  // CMERC_TESTS_SCHEDULERS_SCHEDULER_TESTING_H_
