// Whether a model keeps what later utterances say from earlier ones.
#ifndef CMERC_CALIBRATION_PAST_CHECK_H_
#define CMERC_CALIBRATION_PAST_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "core/backbone.h"

namespace cmerc {

// Predicts two small random conversations and the same with other later utterances, in full and
// without each source of evidence, in evaluation mode. InvalidArgument, where `backbone` is for
// utterances that draw on the past alone (ContextScope::kPast) and earlier answers differ: `name`,
// that of its options, which view, and what to do. OK for every other backbone. Draws nothing from
// LibTorch's default generator, and leaves `backbone` in the mode it was. Other errors are those of
// Backbone::ForwardAll().
absl::Status CheckPast(Backbone& backbone, const std::string& name);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_PAST_CHECK_H_
