#include "processes/join.h"

#include "processes/one_process.h"

namespace cmerc {

absl::StatusOr<std::unique_ptr<ProcessGroup>> Join(const ProcessIdentity& identity,
                                                   const std::string& folder) {
  if (identity.size == 1) return std::make_unique<OneProcess>();
  return absl::UnimplementedError(folder);
}

}  // namespace cmerc
