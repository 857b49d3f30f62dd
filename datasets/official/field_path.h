// Ways to a field of a pickle, as options give them: "3", "videoLabels", "splits/train".
#ifndef CMERC_DATASETS_OFFICIAL_FIELD_PATH_H_
#define CMERC_DATASETS_OFFICIAL_FIELD_PATH_H_

#include <string>

#include "absl/strings/string_view.h"
#include "storage/pickle/pickle.h"

namespace cmerc::datasets {

// Returns what `path` leads to, nullptr where it leads nowhere. A number is the position in a tuple
// or list, from 0; in a dict any part is a key: that text or, if there is none, that number. A key
// may itself hold a "/".
const pickle::Value* FindField(const pickle::Value& root, absl::string_view path);

// Returns how Python gets there from `root`, which it calls `name`: data[3],
// data["splits"]["train"].
std::string FieldName(const pickle::Value& root, absl::string_view path, absl::string_view name);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_FIELD_PATH_H_
