// Which conversations each epoch trains on.
#ifndef CMERC_CALIBRATION_CURRICULUM_H_
#define CMERC_CALIBRATION_CURRICULUM_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/difficulty.h"
#include "calibration/prepared_data.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "core/scheduler.h"
#include "metrics/report.pb.h"

namespace cmerc {

class Curriculum {
 public:
  // Without a scheduler every epoch sees all of data.train. `data` outlives the curriculum.
  explicit Curriculum(const PreparedData& data) : data_(&data) {}

  // `difficulties` has every conversation of data.train; `source` says where they come from, and
  // `warning` what is doubtful about that, if anything is.
  Curriculum(const PreparedData& data, std::unique_ptr<Scheduler> scheduler,
             const Difficulties& difficulties, std::string source, std::string warning);

  // Indices into data.conversations, in the order of the training split, whatever the order of the
  // difficulties.
  std::vector<int64_t> Conversations(int64_t epoch) const;

  // What the first `epochs` epochs do; nullopt without a scheduler.
  std::optional<CurriculumReport> Report(int epochs) const;

  // That the test split had a say in the difficulties, and so in the weights that this curriculum
  // trains; "" where it had none.
  const std::string& warning() const { return warning_; }

 private:
  const PreparedData* data_;
  std::unique_ptr<Scheduler> scheduler_;
  std::vector<int64_t> positions_;
  std::vector<float> difficulties_;
  std::string source_;
  std::string warning_;
};

// The curriculum of the config, with `scheduler` or without one. Difficulties come from
// FindDifficulties(). InvalidArgument: they are not of this data. Other errors: those of
// FindDifficulties().
absl::StatusOr<Curriculum> MakeCurriculum(const RunConfig& config, const PreparedData& data,
                                          std::unique_ptr<Scheduler> scheduler,
                                          Backbone* uncalibrated);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_CURRICULUM_H_
