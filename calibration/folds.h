// The parts of train + valid that are validated on in turn (data.folds), and those of all
// conversations that are tested on in turn (data.test_folds).
#ifndef CMERC_CALIBRATION_FOLDS_H_
#define CMERC_CALIBRATION_FOLDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "config/run.pb.h"
#include "core/dataset.h"

namespace cmerc {

// The beginning of `id` that `pattern` (data.fold_group) fits. InvalidArgument: it fits none.
absl::StatusOr<std::string> FoldGroupOf(absl::string_view id, absl::string_view pattern);

// Divides the conversations at `train` and `valid` again, so that `valid` is the fold that
// config.fold names; both are then in ascending order of id. InvalidArgument: there are more folds
// than conversations, or than groups; config.fold_group does not fit an id.
absl::Status TakeFold(const DataConfig& config, absl::Span<const Conversation> conversations,
                      std::vector<int64_t>* train, std::vector<int64_t>* valid);

// Divides all conversations at `train`, `valid` and `test` again, so that `test` is the part that
// config.test_fold names, and `valid` the part after it, or, where config.folds is above 0, empty:
// TakeFold() fills it. All are then in ascending order of id. InvalidArgument: as TakeFold(), of
// test_folds.
absl::Status TakeTestFold(const DataConfig& config, absl::Span<const Conversation> conversations,
                          std::vector<int64_t>* train, std::vector<int64_t>* valid,
                          std::vector<int64_t>* test);

// What the fold validates on, for a person: "fold 0 of 4: groups Ses01", or that recording sessions
// may be divided. "" without folds.
std::string DescribeFold(const DataConfig& config, absl::Span<const Conversation> conversations,
                         absl::Span<const int64_t> valid);

// What the test fold tests and validates on: "test fold 0 of 5: tests on the groups Ses01,
// validates on Ses02", or that recording sessions may be divided. "" without test folds.
std::string DescribeTestFold(const DataConfig& config, absl::Span<const Conversation> conversations,
                             absl::Span<const int64_t> valid, absl::Span<const int64_t> test);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_FOLDS_H_
