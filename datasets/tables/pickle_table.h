// ArrayTable from the pickle of a dict.
#ifndef CMERC_DATASETS_TABLES_PICKLE_TABLE_H_
#define CMERC_DATASETS_TABLES_PICKLE_TABLE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "datasets/tables/array_table.h"

namespace cmerc::datasets {

// See ArrayTable::Open().
absl::StatusOr<std::unique_ptr<ArrayTable>> OpenPickleTable(const std::string& path);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_TABLES_PICKLE_TABLE_H_
