#include "calibration/difficulty.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "bin/commands.h"
#include "bin/session.h"

namespace cmerc {

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
