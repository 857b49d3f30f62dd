// Standardization of features: mean 0 and deviation 1 over the training split.
#ifndef CMERC_CALIBRATION_STANDARDIZER_H_
#define CMERC_CALIBRATION_STANDARDIZER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/dataset.h"
#include "storage/checkpoint.pb.h"
#include "torch/types.h"

namespace cmerc {

// Measures mean and deviation of every feature, conversation by conversation.
class FeatureMeasurer {
 public:
  // Of the modalities of `info`.
  explicit FeatureMeasurer(const DatasetInfo& info);

  // Adds the utterances of a conversation that have a modality to what is measured of it.
  void Add(const Conversation& conversation);
  // What was found; each modality has been in an utterance. A feature that never varies has
  // deviation 1.
  Standardization Result() const;

 private:
  struct Sums {
    torch::Tensor values;   // [D_m] float64; undefined: nothing was added
    torch::Tensor squares;  // [D_m] float64
    int64_t rows = 0;
  };
  std::vector<std::vector<Sums>> sums_;  // [m][s]
};

// A Standardization, ready to apply.
class Standardizer {
 public:
  // InvalidArgument: it has not one mean and one deviation above 0, both finite, for every feature.
  static absl::StatusOr<Standardizer> Create(const Standardization& standardization,
                                             const DatasetInfo& info);

  // Replaces the features, which have the modalities and widths of `info`. Streams that are one
  // tensor stay one tensor where their means and deviations agree.
  void Apply(Conversation& conversation) const;

 private:
  struct Stream {
    torch::Tensor mean;       // [D_m]
    torch::Tensor deviation;  // [D_m]
    bool same_as_previous;
  };
  std::vector<std::vector<Stream>> modalities_;
};

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_STANDARDIZER_H_
