#include "calibration/difficulty.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "bin/commands.h"
#include "bin/session.h"

namespace cmerc {

std::vector<FlagSpec> DifficultyFlags() {
  return {
      {"checkpoint", FlagSpec::Kind::kValue, "the model, usually trained without calibration",
       "FILE"},
      {"config", FlagSpec::Kind::kValue, "in place of the config in the checkpoint", "FILE"},
      {"set", FlagSpec::Kind::kRepeatedValue, "merged over the config; may be repeated",
       "FRAGMENT"},
      {"output", FlagSpec::Kind::kValue, "a .pkl that Python reads, or JSON for any other name",
       "FILE"},
  };
}

absl::Status DifficultyCommand(const Flags& flags) {
  const std::string output = flags.Get("output");
  if (output.empty()) {
    return absl::InvalidArgumentError("--output=FILE is missing (NAME.json or NAME.pkl)");
  }
  const absl::Status writable = CheckWritableFile(output);
  if (!writable.ok()) return writable;
  absl::StatusOr<TrainedModel> model = LoadTrainedModel(flags);
  if (!model.ok()) return model.status();
  const absl::StatusOr<DifficultyTable> table =
      MeasureDifficulties(*model->backbone, model->data, model->config.calibration());
  if (!table.ok()) return table.status();
  const absl::Status written =
      WriteDifficulties(output, *table, model->data.conversations.front().numeric_id);
  if (!written.ok()) return written;
  std::cout << "difficulties of " << table->size() << " training conversations written to "
            << output << "\n";
  return absl::OkStatus();
}

}  // namespace cmerc
