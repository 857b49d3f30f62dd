// How much memory the data of one file may take.
#ifndef CMERC_DATASETS_OFFICIAL_BUDGET_H_
#define CMERC_DATASETS_OFFICIAL_BUDGET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace cmerc::datasets {

// The objects of a pickle may be shared, so that a small file can describe data of any size. What
// is made of a file may take 64 bytes per byte of the file and 1 MiB.
class Budget {
 public:
  explicit Budget(uint64_t file_bytes);

  // Counts `count` elements of `item_size` bytes; call it before they are made. InvalidArgument:
  // all that was counted is more than the file may take.
  absl::Status Spend(int64_t count, int64_t item_size);

  // Counts texts with the strings that hold them. InvalidArgument as above.
  absl::Status Spend(const std::vector<std::string>& texts);

  // Whether some Spend() has failed.
  bool is_spent() const { return bytes_left_ < 0; }

 private:
  double bytes_left_;
};

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_BUDGET_H_
