// Whether features are finite, at the speed of memory.
#ifndef CMERC_DATASETS_FORMATS_FINITE_H_
#define CMERC_DATASETS_FORMATS_FINITE_H_

#include "absl/types/span.h"

namespace cmerc::datasets {

// Whether none of the values is infinite or NaN.
bool AllFinite(absl::Span<const float> values);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_FORMATS_FINITE_H_
