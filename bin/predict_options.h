// What the flags of `cmerc predict` say, and what its answers repeat of the input, whether
// conversations come as a whole or utterance by utterance.
#ifndef CMERC_BIN_PREDICT_OPTIONS_H_
#define CMERC_BIN_PREDICT_OPTIONS_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bin/flags.h"
#include "bin/skip_limit.h"
#include "calibration/extractors.h"
#include "calibration/prediction.pb.h"
#include "calibration/prediction_text.h"
#include "calibration/predictor.h"
#include "config/run.pb.h"
#include "datasets/formats/conversation.pb.h"
#include "datasets/formats/json_lines.h"

namespace cmerc {

// InvalidArgument: "--FLAG" and then `why`.
absl::Status BadFlag(const std::string& flag, const std::string& why);

// What the flags say of how --input is predicted.
struct InputOptions {
  bool skip = false;  // what cannot be predicted
  SkipLimit limit;
  UnknownKeys unknown_keys = UnknownKeys::kKeep;
  OptionalKeys keys;  // of the answers
};

// InvalidArgument: flags about --input, which is not given (nor --stream), or values that are
// wrong.
absl::StatusOr<InputOptions> InputOptionsOf(const Flags& flags);

// Why the answers of a model with this config, from the file `checkpoint`, cannot be calibrated,
// and what to do.
std::string WithoutTemperature(const std::string& checkpoint, const RunConfig& config);

// The model of --checkpoint, ready to predict what --input has.
struct InputPredictor {
  Predictor predictor;
  std::string uncalibrated;  // WithoutTemperature() of a model without one, else ""
};

// Errors are those of Predictor::Load() and SetUpThreads(); InvalidArgument: --checkpoint is not
// given, or --require_calibrated is and there is no temperature.
absl::StatusOr<InputPredictor> LoadInputPredictor(const Flags& flags);

// What to warn of where a conversation does not say what made its features, and the model knows
// that of its training data; "" for nothing. The place is not in it.
std::string WithoutExtractor(const ConversationRecord& record, const Extractors& trained);

// Says of each unknown key, the first time that it comes, that answers repeat it.
class KeyWarnings {
 public:
  // Returns the warning for a conversation at `place`; "" for no new key.
  std::string Of(const ConversationRecord& record, const std::string& place);

 private:
  static constexpr size_t kMost = 100;  // keys to remember
  std::set<std::string> seen_;
};

// InvalidArgument, without the place: an utterance has a key that its answer needs.
absl::Status CheckKeys(const ConversationRecord& record, const OptionalKeys& keys);

// Sets what the input says of a conversation beside its features, and returns what else its answer
// repeats.
CarriedAlong Name(const ConversationRecord& record, PredictedConversation* prediction);

}  // namespace cmerc

#endif  // CMERC_BIN_PREDICT_OPTIONS_H_
