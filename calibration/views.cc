#include "calibration/views.h"

#include "core/streams.h"
#include "core/to_device.h"

namespace cmerc {
namespace {

// [B, T, D]: each conversation's mean, in every row; where utterances draw on the past alone, that
// of the utterances up to the row's.
torch::Tensor MeanInEveryRow(const torch::Tensor& stream, const Batch& batch,
                             CalibrationConfig::MaskedMean masked_mean) {
  if (masked_mean == CalibrationConfig::PADDED_ROWS) {
    return stream.mean(1, /*keepdim=*/true).expand_as(stream);
  }
  // Padding rows are 0, so they add nothing to the sum; they stay 0 in the result.
  const torch::Tensor valid =
      ToDevice(ValidRows(batch.lengths, batch.max_length()), stream.device())
          .unsqueeze(2)
          .to(stream.dtype());
  if (batch.scope == ContextScope::kPast) {
    const torch::Tensor counts = torch::arange(1, batch.max_length() + 1, stream.options());
    return (stream * valid).cumsum(1) / counts.view({1, -1, 1}) * valid;
  }
  const torch::Tensor lengths =
      ToDevice(batch.lengths, stream.device()).view({-1, 1, 1}).to(stream.dtype());
  const torch::Tensor mean = (stream * valid).sum(1, /*keepdim=*/true) / lengths;
  return mean * valid;
}

// Batch::evidence without source `source`.
torch::Tensor Without(const torch::Tensor& evidence, size_t source) {
  if (!evidence.defined()) return evidence;
  torch::Tensor result = evidence.clone();
  result.select(2, static_cast<int64_t>(source)).fill_(false);
  return result;
}

}  // namespace

Batch ApplyView(const Batch& batch, const View& view, CalibrationConfig::MaskedMean masked_mean) {
  Batch result = batch;
  if (view.kind == View::Kind::kModality) {
    for (size_t m = 0; m < batch.modalities.size(); ++m) {
      if (batch.modalities[m].name != view.modality) continue;
      result.modalities[m].streams = MapStreams(
          batch.modalities[m].streams,
          [&](const torch::Tensor& stream) { return MeanInEveryRow(stream, batch, masked_mean); });
      result.evidence = Without(batch.evidence, m);
    }
    return result;
  }
  const torch::Tensor to = batch.speakers.unsqueeze(2), from = batch.speakers.unsqueeze(1);
  // In place: of a long conversation one such tensor is much.
  result.context = view.kind == View::Kind::kSameSpeaker ? to != from : to == from;
  result.context.diagonal(/*offset=*/0, 1, 2).fill_(true);
  result.context.logical_and_(batch.context);
  result.evidence = Without(
      batch.evidence, batch.modalities.size() + (view.kind == View::Kind::kSameSpeaker ? 0 : 1));
  return result;
}

}  // namespace cmerc
