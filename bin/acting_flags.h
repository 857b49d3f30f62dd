// What `cmerc evaluate` and `predict` are told of how answers are acted on: --sets, --sets_method
// and
// --abstain_below.
#ifndef CMERC_BIN_ACTING_FLAGS_H_
#define CMERC_BIN_ACTING_FLAGS_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bin/flags.h"
#include "calibration/prediction_text.h"
#include "calibration/predictor.h"
#include "config/run.pb.h"
#include "metrics/conformal.h"

namespace cmerc {

struct ActingFlags {
  std::optional<double> coverage;  // of --sets, in (0, 1)
  SetMethod method = SetMethod::kSplit;
  std::optional<double> abstain_below;  // in (0, 1)

  // Reads and checks the flags. InvalidArgument: a value that is out of range, or no method;
  // --sets_method without --sets.
  static absl::StatusOr<ActingFlags> Of(const Flags& flags);

  // The keys that answers have by these flags.
  OptionalKeys Keys() const { return {coverage.has_value(), abstain_below.has_value()}; }

  // Lets `predictor`, the model of the file `checkpoint`, answer by these flags, and tells on the
  // standard error what sets promise. InvalidArgument: sets are asked for, and the checkpoint
  // carries nothing to make them from.
  absl::Status LetAnswer(const std::string& checkpoint, Predictor* predictor) const;
};

// Why no sets can be made with the model of this config from the file `checkpoint`, which carries
// none, and what to do.
std::string WithoutSets(const std::string& checkpoint, const RunConfig& config);

}  // namespace cmerc

#endif  // CMERC_BIN_ACTING_FLAGS_H_
