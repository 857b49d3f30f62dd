#include "calibration/difficulty.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "bin/commands.h"
#include "bin/output.h"
#include "bin/session.h"
#include "core/status.h"

namespace cmerc {

absl::Status DifficultyCommand(const Flags& flags) {
  const std::string output = flags.Get("output");
  if (output.empty()) {
    return absl::InvalidArgumentError("--output=FILE is missing (NAME.json or NAME.pkl)");
  }
  RETURN_IF_ERROR(CheckOutput(flags, OutputKind::kDifficulties));
  ASSIGN_OR_RETURN(const TrainedModel model, LoadTrainedModel(flags));
  MeasuredDifficulties measured;
  measured.protocol = model.protocol;
  ASSIGN_OR_RETURN(measured.table,
                   MeasureDifficulties(*model.backbone, model.data, model.config.calibration()));
  RETURN_IF_ERROR(WriteDifficulties(output, measured, model.data.conversations.front().numeric_id));
  std::cout << "difficulties of " << measured.table.size() << " training conversations written to "
            << output << "\n";
  return absl::OkStatus();
}

}  // namespace cmerc
