// Labelled conversations of --input, as `cmerc evaluate` scores them.
#ifndef CMERC_BIN_LABELLED_INPUT_H_
#define CMERC_BIN_LABELLED_INPUT_H_

#include <string>

#include "absl/status/statusor.h"
#include "calibration/predictor.h"
#include "calibration/prepared_data.h"

namespace cmerc {

// Reads the conversations of a file, or of standard input ("-"), as the test split of data of which
// the model of `predictor` knows the classes: by their names, whatever their order in the file.
// Keys that the format does not have are not looked at. An utterance may have no label, or
// kNoLabel, where that is no class. NotFound, InvalidArgument: there is no such file, or no
// conversation in it, or no label; InvalidArgument, a line for each: a conversation that the model
// cannot take, an id that comes twice, a label that is no class of the model, or that is missing
// where a key is meant to be it.
absl::StatusOr<PreparedData> ReadLabelledInput(const std::string& path, const Predictor& predictor);

}  // namespace cmerc

#endif  // CMERC_BIN_LABELLED_INPUT_H_
