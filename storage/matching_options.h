// Finds options with which a model would have the weights that a file holds.
#ifndef CMERC_STORAGE_MATCHING_OPTIONS_H_
#define CMERC_STORAGE_MATCHING_OPTIONS_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace cmerc {

// In how many names and shapes the model of these options differs from the file; nothing where
// there is no such model.
using CountDifferences =
    std::function<std::optional<size_t>(const google::protobuf::Message& options)>;

// Changes one field of `options` after another, always the one that leaves the fewest differences,
// until none is left, and returns what was changed, in text format: "text_encoder: LSTM". Empty:
// no such way was found, or `options` have no differences. Booleans, enums and integers are tried;
// integers of all fields get the values `extents`, the most promising first, and small ones. Makes
// at most `most_models` models.
std::string FindMatchingOptions(const google::protobuf::Message& options,
                                const std::vector<int64_t>& extents, int most_models,
                                const CountDifferences& differences);

}  // namespace cmerc

#endif  // CMERC_STORAGE_MATCHING_OPTIONS_H_
