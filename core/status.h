// Passing errors on: absl::Status and absl::StatusOr without a line of ceremony for each call.
//
//   RETURN_IF_ERROR(file->Write(text));
//   ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadCheckpoint(path));
//   ASSIGN_OR_RETURN(Loss* loss, Annotate(FindLoss(name), "losses[3]"));
//
// Both are for functions that return an absl::Status or an absl::StatusOr of anything.
#ifndef CMERC_CORE_STATUS_H_
#define CMERC_CORE_STATUS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

// "where: message" under the same code; an OK status stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view where);

// `result` where it holds a value, or its status, annotated.
template <typename T>
absl::StatusOr<T> Annotate(absl::StatusOr<T> result, absl::string_view where) {
  if (result.ok()) return result;
  return Annotate(result.status(), where);
}

}  // namespace cmerc

// Returns from this function with the absl::Status of the expression unless it is OK.
#define RETURN_IF_ERROR(...)                                             \
  do {                                                                   \
    if (absl::Status cmerc_status = (__VA_ARGS__); !cmerc_status.ok()) { \
      return cmerc_status;                                               \
    }                                                                    \
  } while (false)

// Returns from this function with the status of the expression, an absl::StatusOr, unless that
// holds a value, which otherwise becomes `lhs`: a declaration or something to assign to. A type
// with a comma in it needs a name of its own.
#define ASSIGN_OR_RETURN(lhs, ...) \
  CMERC_ASSIGN_OR_RETURN_(CMERC_JOINED_(cmerc_status_or_, __LINE__), lhs, (__VA_ARGS__))

#define CMERC_ASSIGN_OR_RETURN_(result, lhs, expression) \
  auto result = expression;                              \
  if (!(result).ok()) return std::move(result).status(); \
  lhs = *std::move(result)
#define CMERC_JOINED_(a, b) CMERC_JOINED_AGAIN_(a, b)
#define CMERC_JOINED_AGAIN_(a, b) a##b

#endif  // CMERC_CORE_STATUS_H_
