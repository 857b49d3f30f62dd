// Values as TensorBoard's histogram.
#ifndef CMERC_TENSORBOARD_HISTOGRAM_H_
#define CMERC_TENSORBOARD_HISTOGRAM_H_

#include "absl/types/span.h"
#include "tensorboard/event.pb.h"

namespace cmerc {

// Counts `values`, which are all finite, in TensorFlow's buckets: their limits are +-1e-12 * 1.1^k
// up to 1e20, and 0, and runs of empty buckets are merged, as
// tensorflow/core/lib/histogram/histogram.cc does.
tensorboard::Histogram MakeHistogram(absl::Span<const float> values);

}  // namespace cmerc

#endif  // CMERC_TENSORBOARD_HISTOGRAM_H_
