// What the commands share: data for a config, a trained model from its checkpoint.
#ifndef CMERC_BIN_SESSION_H_
#define CMERC_BIN_SESSION_H_

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bin/flags.h"
#include "calibration/prepared_data.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "core/dataset.h"
#include "metrics/conformal.pb.h"
#include "storage/checkpoint.pb.h"

namespace cmerc {

// Reads and checks the dataset of `config`. Errors, with "data.dataset: " in front, are those of
// its plugin: InvalidArgument or NotFound for options or files that are wrong.
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const RunConfig& config);

// LoadConfig() of config/loader.h; prints its warnings.
absl::StatusOr<RunConfig> LoadConfigAndWarn(const std::string& path,
                                            const std::vector<std::string>& overrides);

// Prints what LoadConfig() and its like found odd, a line each, to the standard error.
void PrintWarnings(absl::Span<const std::string> warnings);

// Sets the threads that `config` asks for, and warns of a slow BLAS. Errors: those of SetThreads().
absl::Status SetUpThreads(const RunConfig& config);

// Sets the threads up, reads the dataset, prints its warnings and prepares it as `config` says,
// with the standardization and means of the model that `trained` describes where that is given;
// tells `log` what it found. Errors are those of SetUpThreads(), OpenDataset(), CheckExtractors()
// and PrepareData().
absl::StatusOr<PreparedData> LoadData(const RunConfig& config,
                                      const CheckpointMetadata* trained = nullptr,
                                      std::ostream& log = std::cout);

struct TrainedModel {
  RunConfig config;
  PreparedData data;
  std::shared_ptr<Backbone> backbone;
  std::optional<double> temperature;  // CheckpointMetadata.temperature, above 0
  // What it was trained under; absent for a file that Python saved, which does not say.
  std::optional<DataConfig::Protocol> protocol;
  std::optional<SetCalibration> sets;  // CheckpointMetadata.sets
};

// The value of --checkpoint. InvalidArgument: it is not given.
absl::StatusOr<std::string> CheckpointFlag(const Flags& flags);

// The model in --checkpoint, with its data. --config takes the place of the config that the file
// carries, and is needed for a file that Python saved, which carries none; --set is merged over
// either. NotFound, InvalidArgument: a file is missing or damaged, the config is not valid, or
// model and data do not fit each other, or --output is a file that the config names.
absl::StatusOr<TrainedModel> LoadTrainedModel(const Flags& flags, std::ostream& log = std::cout);

// The value of --split; "test" when it is not given. InvalidArgument: not the name of a split.
absl::StatusOr<std::string> SplitFlag(const Flags& flags);

// The numbers of the conversations in a split. InvalidArgument: the protocol of the config leaves
// it empty.
absl::StatusOr<std::vector<int64_t>> ConversationsOf(const std::string& split,
                                                     const PreparedData& data);

}  // namespace cmerc

#endif  // CMERC_BIN_SESSION_H_
