// A model that answers requests: as many copies of it as there are workers.
#ifndef CMERC_SERVING_LOADED_MODEL_H_
#define CMERC_SERVING_LOADED_MODEL_H_

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bin/acting_flags.h"
#include "calibration/predictor.h"
#include "core/view.h"
#include "serving/model_description.h"

namespace cmerc::serving {

// Backbones need not be safe to use from several threads, so that each worker has its own.
struct Copy {
  explicit Copy(Predictor one) : predictor(std::move(one)) {}

  std::mutex mutex;  // held while it predicts
  Predictor predictor;
};

struct LoadedModel {
  ModelDescription description;
  std::vector<View> views;  // those that the table `without` names
  std::vector<std::unique_ptr<Copy>> copies;
  bool batch_mates_matter = false;  // by more than rounding: conversations go one by one
};

// Reads `path` once for each of the copies, and lets each predict a conversation, so that the first
// request need not wait for what LibTorch does once. Errors are those of Predictor::Load(), and of
// ActingFlags::LetAnswer(); InvalidArgument: its modalities are called like other inputs.
absl::StatusOr<std::shared_ptr<LoadedModel>> LoadModel(const std::string& name,
                                                       const std::string& path, int version,
                                                       int copies, const ActingFlags& acting);

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_LOADED_MODEL_H_
