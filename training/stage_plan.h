// What the training of one model is given.
#ifndef CMERC_TRAINING_STAGE_PLAN_H_
#define CMERC_TRAINING_STAGE_PLAN_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "calibration/curriculum.h"
#include "calibration/prepared_data.h"
#include "calibration/weighted_losses.h"
#include "config/run.pb.h"
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

  // Holds the weights of the epoch that the protocol selects.
  std::string SelectedFile() const { return output + "/selected.pth"; }
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_STAGE_PLAN_H_
