// ArrayTable from an .npz.
#ifndef CMERC_DATASETS_TABLES_NPZ_TABLE_H_
#define CMERC_DATASETS_TABLES_NPZ_TABLE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "datasets/tables/array_table.h"

namespace cmerc::datasets {

// See ArrayTable::Open().
absl::StatusOr<std::unique_ptr<ArrayTable>> OpenNpzTable(const std::string& path);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_TABLES_NPZ_TABLE_H_
