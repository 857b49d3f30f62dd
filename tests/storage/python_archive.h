// Checkpoints as training scripts in Python save them, for tests.
#ifndef CMERC_TESTS_STORAGE_PYTHON_ARCHIVE_H_
#define CMERC_TESTS_STORAGE_PYTHON_ARCHIVE_H_

#include <string>
#include <vector>

#include "storage/checkpoint.h"

namespace cmerc {

// The bytes of torch.save({"epoch": 3, ENTRY: {PREFIX + name: tensor, ...}}, f), for each entry one
// such dict; without entries, of the dict itself. Tensors are float32 or int64.
std::string PythonArchive(const StateDict& state, const std::vector<std::string>& entries,
                          const std::string& prefix);

}  // namespace cmerc

#endif  // CMERC_TESTS_STORAGE_PYTHON_ARCHIVE_H_
