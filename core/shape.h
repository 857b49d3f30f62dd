// Shapes in messages.
#ifndef CMERC_CORE_SHAPE_H_
#define CMERC_CORE_SHAPE_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace cmerc {

// "[2, 5, 7]"; "[]" for a scalar. Takes what Tensor::sizes() returns.
std::string ShapeString(absl::Span<const int64_t> shape);

}  // namespace cmerc

#endif  // CMERC_CORE_SHAPE_H_
