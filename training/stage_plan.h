// What the training of one model is given.
#ifndef CMERC_TRAINING_STAGE_PLAN_H_
#define CMERC_TRAINING_STAGE_PLAN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "calibration/curriculum.h"
#include "calibration/prepared_data.h"
#include "calibration/weighted_losses.h"
#include "config/run.pb.h"
#include "core/learning_rate.h"
#include "training/starting_weights.h"
#include "training/train_options.h"

namespace cmerc {

struct StagePlan {
  const RunConfig& config;  // outlives the plan, like `data`
  const PreparedData& data;
  std::string output;  // the folder of the model's files, which exists
  std::string label;   // begins every line about it: "calibrated    ", or nothing
  std::vector<WeightedLoss> losses;
  Curriculum curriculum;
  std::map<std::string, std::string> versions;
  TrainOptions options;
  uint64_t data_digest;  // DataDigest(data)
  std::shared_ptr<const LearningRate> learning_rate =
      nullptr;  // null: training.learning_rate stays
  // What the model starts with, of training.init_checkpoint; none: what the seed draws.
  std::optional<StartingWeights> start = std::nullopt;
  // Whether another stage starts with the same, so that resume.pth must hold it.
  bool keep_start = false;

  // Holds the weights of the epoch that the protocol selects.
  std::string SelectedFile() const { return output + "/selected.pth"; }
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_STAGE_PLAN_H_
