// `cmerc predict --stream`: an utterance a line in, its answer a line out at once.
#ifndef CMERC_BIN_PREDICT_STREAM_H_
#define CMERC_BIN_PREDICT_STREAM_H_

#include "absl/status/status.h"
#include "bin/flags.h"

namespace cmerc {

// Answers the lines of standard input, or of --input, on standard output until they end or a signal
// comes. InvalidArgument or NotFound: bad flags, an input that cannot be read or in which there is
// nothing to predict, or, unless --on_error=SKIP, a line that cannot be predicted; what came before
// it has been answered.
absl::Status PredictStream(const Flags& flags);

}  // namespace cmerc

#endif  // CMERC_BIN_PREDICT_STREAM_H_
