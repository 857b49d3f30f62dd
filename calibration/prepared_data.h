// A dataset as training sees it: splits by protocol, the chosen modalities, standardized features.
#ifndef CMERC_CALIBRATION_PREPARED_DATA_H_
#define CMERC_CALIBRATION_PREPARED_DATA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "config/run.pb.h"
#include "core/batch.h"
#include "core/dataset.h"
#include "storage/checkpoint.pb.h"

namespace cmerc {

struct PreparedData {
  DatasetInfo info;  // class_counts counts the utterances of `train`
  std::vector<Conversation> conversations;
  // Indices into `conversations`, in the order of the files. Under the OFFICIAL protocol train is
  // train + valid in the official order, and valid is empty; with data.folds, in ascending order of
  // id. Without the OFFICIAL protocol test may be empty: then nothing is scored that did not
  // choose.
  std::vector<int64_t> train;
  std::vector<int64_t> valid;
  std::vector<int64_t> test;
  std::optional<Standardization> standardization;
  torch::Device device = torch::kCPU;  // where batches are made; `conversations` are on the CPU

  const std::vector<int64_t>& split(Split split) const;
  // The conversations at `indices`, as one batch.
  Batch MakeBatch(absl::Span<const int64_t> indices) const;
  // The ids of the conversations at `indices`, for messages: "a, b, c".
  std::string Ids(absl::Span<const int64_t> indices) const;
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

// Reads all conversations of `dataset`. Where `given` is not null, that standardization is used (a
// checkpoint's); otherwise data.standardize takes it from the training split. InvalidArgument: an
// unknown modality, an empty split that the protocol needs, folds that TakeFold() refuses, a
// `given` that does not fit the features or has a deviation that is not above 0. Other codes: those
// of Dataset::Get().
absl::StatusOr<PreparedData> PrepareData(const Dataset& dataset, const DataConfig& config,
                                         const Standardization* given = nullptr);

// What data.context says.
ContextScope ContextOf(const DataConfig& config);

// What a checkpoint says of the data its model was made for, and back; the context is not in it,
// but in the checkpoint's config.
DatasetDescription Describe(const DatasetInfo& info);
DatasetInfo InfoFromDescription(const DatasetDescription& description);

// "HELD_OUT (the validation split selects the epoch)" or "OFFICIAL (trains on train + valid; the
// test set selects the epoch)", for every report.
std::string ProtocolDescription(DataConfig::Protocol protocol);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_PREPARED_DATA_H_
