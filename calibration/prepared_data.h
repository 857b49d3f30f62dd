// A dataset as training sees it: splits by protocol, the chosen modalities, standardized features.
#ifndef CMERC_CALIBRATION_PREPARED_DATA_H_
#define CMERC_CALIBRATION_PREPARED_DATA_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/extractors.h"
#include "calibration/late_features.h"
#include "calibration/missing.h"
#include "calibration/standardizer.h"
#include "config/run.pb.h"
#include "core/batch.h"
#include "core/dataset.h"
#include "storage/checkpoint.pb.h"

namespace cmerc {

struct PreparedData {
  DatasetInfo info;  // class_counts counts the labelled utterances of `train`
  std::vector<Conversation> conversations;  // without features where `late` has them
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
  // Where features are that do not fit into memory; null: in `conversations`, as the model sees
  // them.
  std::shared_ptr<LateFeatures> late = nullptr;
  std::optional<Standardizer> standardizer = std::nullopt;  // of what `late` has, where it has any
  Extractors extractors = {};  // of the modalities whose files say; PrepareData() knows none

  const std::vector<int64_t>& split(Split split) const;
  // The conversation at `index` with its features, as the model sees them. Errors, where they are
  // read late: those of LateConversations::Read().
  absl::StatusOr<Conversation> Load(int64_t index) const;
  // Lets features that are read late be read while something else is done: those of the
  // conversations at `indices` are wanted next.
  void ReadAhead(absl::Span<const int64_t> indices) const;
  // The conversations at `indices`, as one batch. Errors are those of Load().
  absl::StatusOr<Batch> MakeBatch(absl::Span<const int64_t> indices) const;
  // Other conversations of the same info, as one batch on `device`.
  Batch MakeBatchOf(absl::Span<const Conversation> chosen) const;
  // The ids of the conversations at `indices`, for messages: "a, b, c".
  std::string Ids(absl::Span<const int64_t> indices) const;
};

// Reads all conversations of `dataset`, standardizes them and fills in what they lack
// (calibration/missing.h); of a data set that HasLateConversations all but the features, which are
// read when they are loaded. Standardization and means are those of the model that `trained`
// describes, where it is not null and has them; otherwise data.standardize takes the former, and
// means are taken, from the utterances of the training split that have the modality.
// InvalidArgument: an unknown modality, one that no utterance of the training split has, unscored
// classes that are none, an empty split that the protocol needs, folds that TakeFold() or
// TakeTestFold() refuses, a standardization or means that do not fit the features, or a deviation
// that is not above 0. Other codes: those of Dataset::Get() and LateConversations::Read().
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
