// A dataset as training sees it: splits by protocol, the chosen modalities, standardized features.
#ifndef CMERC_CALIBRATION_PREPARED_DATA_H_
#define CMERC_CALIBRATION_PREPARED_DATA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/extractors.h"
#include "calibration/missing.h"
#include "config/run.pb.h"
#include "core/batch.h"
#include "core/dataset.h"
#include "storage/checkpoint.pb.h"

namespace cmerc {

struct PreparedData {
  DatasetInfo info;  // class_counts counts the labelled utterances of `train`
  std::vector<Conversation> conversations;
  // Indices into `conversations`, in the order of the files. Under the OFFICIAL protocol train is
  // train + valid in the official order, and valid is empty; with data.folds or test_folds, in
  // ascending order of id. Without the OFFICIAL protocol test may be empty: then nothing is scored
  // that did not choose.
  std::vector<int64_t> train;
  std::vector<int64_t> valid;
  std::vector<int64_t> test;
  std::optional<Standardization> standardization;
  torch::Device device = torch::kCPU;  // where batches are made; `conversations` are on the CPU
  FeatureMeans means = {};             // stand for what conversations lack; they are filled in
  Extractors extractors = {};  // of the modalities whose files say; PrepareData() knows none

  const std::vector<int64_t>& split(Split split) const;
  // The conversations at `indices`, as one batch.
  Batch MakeBatch(absl::Span<const int64_t> indices) const;
  // Other conversations of the same info, as one batch on `device`.
  Batch MakeBatchOf(absl::Span<const Conversation> chosen) const;
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

// Reads all conversations of `dataset`, standardizes them and fills in what they lack
// (calibration/missing.h). Standardization and means are those of the model that `trained`
// describes, where it is not null and has them; otherwise data.standardize takes the former, and
// means are taken, from the utterances of the training split that have the modality.
// InvalidArgument: an unknown modality, one that no utterance of the training split has, unscored
// classes that are none, an empty split that the protocol needs, folds that TakeFold() or
// TakeTestFold() refuses, a standardization or means that do not fit the features, or a deviation
// that is not above 0. Other codes: those of Dataset::Get().
absl::StatusOr<PreparedData> PrepareData(const Dataset& dataset, const DataConfig& config,
                                         const CheckpointMetadata* trained = nullptr);

// What data.context says.
ContextScope ContextOf(const DataConfig& config);

// What a checkpoint says of the data its model was made for, and back; the context is not in it,
// but in the checkpoint's config.
DatasetDescription Describe(const DatasetInfo& info);
DatasetInfo InfoFromDescription(const DatasetDescription& description);

// InvalidArgument: data.unscored_classes names a class that is none of `info`, one twice, or all.
absl::Status CheckUnscoredClasses(const DataConfig& config, const DatasetInfo& info);

// "HELD_OUT (the validation split selects the epoch)" or "OFFICIAL (trains on train + valid; the
// test set selects the epoch)", for every report; with data.test_folds it says which part is tested
// on.
std::string ProtocolDescription(const DataConfig& config);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_PREPARED_DATA_H_
