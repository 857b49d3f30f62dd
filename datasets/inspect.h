// What `cmerc data describe FILE...` says: what is in files that other projects wrote, and how a
// config names them.
#ifndef CMERC_DATASETS_INSPECT_H_
#define CMERC_DATASETS_INSPECT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cmerc {

// Whether a file holds conversations as RecordsOptions reads them: a record file, JSON Lines or an
// .npz with the lengths of conversations.
bool HoldsConversations(const std::string& path);

// Returns what each file holds: a pickle of features, a pickle, .npz or folder of arrays by id, or
// a CSV file of MELD's form; and in the end a block of a config that names them all, as far as it
// can be guessed. At least one path. NotFound: there is no such file. InvalidArgument: it is
// nothing of these, or damaged; the message names it and says what it is.
absl::StatusOr<std::string> InspectFiles(const std::vector<std::string>& paths);

}  // namespace cmerc

#endif  // CMERC_DATASETS_INSPECT_H_
