// ArrayTable from a folder of .npy files.
#ifndef CMERC_DATASETS_TABLES_NPY_FOLDER_H_
#define CMERC_DATASETS_TABLES_NPY_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "datasets/tables/array_table.h"

namespace cmerc::datasets {

// See ArrayTable::Open(). `path` is a folder.
absl::StatusOr<std::unique_ptr<ArrayTable>> OpenNpyFolder(const std::string& path);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_TABLES_NPY_FOLDER_H_
