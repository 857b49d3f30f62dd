#include "backbones/m3net/modality_encoder.h"

#include <torch/nn/modules/linear.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backbones/layers/modality_names.h"
#include "backbones/layers/past_context.h"
#include "backbones/layers/recurrent.h"
#include "backbones/m3net/official_leftovers.h"
#include "backbones/m3net/options.h"
#include "core/streams.h"

namespace cmerc {

using torch::Tensor;

ModalityEncoder::ModalityEncoder(int64_t m, Role role, StreamNorms norms,
                                 const M3NetOptions& options, const DatasetInfo& info,
                                 torch::nn::Module& parent)
    : modality_(m),
      role_(role),
      official_(options.semantics() == OFFICIAL),
      past_(DrawsOnPastAlone(info)),
      norms_(std::move(norms)) {
  const ModalityInfo& modality = info.modalities[m];
  const std::string suffix = ShortModalityName(modality.name);
  const std::string linear_name = absl::StrCat("linear_", suffix);
  const torch::nn::LinearOptions linear(modality.width, options.input_width());
  if (role == Role::kOther || options.text_linear()) {
    linear_ = parent.register_module(linear_name, torch::nn::Linear(linear));
  } else if (official_) {
    RegisterAsBuffers(linear_name, *torch::nn::Linear(linear), parent);
  }
  const std::optional<SequenceEncoder::Kind> kind = EncoderKind(options);
  if (!kind.has_value()) return;
  if (role == Role::kEncoded || options.encode_other_modalities()) {
    encoder_.emplace(parent, *kind, suffix, options.input_width(), options.dropout(), past_);
  } else if (official_) {
    AddUnusedEncoder(*kind, suffix, options, parent);
  }
}

ModalityEncoder::Rows ModalityEncoder::MakeRows(const std::vector<Tensor>& streams,
                                                const Packing& packing, bool training) const {
  // Official normalization and encoders see padding; elsewhere it would only cost time.
  const bool padded = official_ && (role_ == Role::kEncoded || has_encoder());
  const bool over_conversations = norms_.OverConversations();
  // The statistics of a batch are over all rows, however many of them are alike. Where an utterance
  // must not know later ones, it must not know that they are alike either, not by a last digit.
  const bool over_batch = norms_.OverBatch(training);
  const DistinctRows distinct(streams, packing, padded,
                              /*alike=*/!past_ && !over_conversations && (padded || !over_batch));
  const size_t count = streams.size();
  Tensor rows;  // [U, D]
  for (size_t begin = 0, end = 0; begin < count; begin = end) {
    // Streams that are one tensor are normalized at once.
    do {
      ++end;
    } while (end < count && IsSameAsPrevious(streams, end));
    const Tensor stream =
        over_conversations ? StreamNorms::NormalizeConversations(streams[begin], packing, official_)
                           : streams[begin];
    const Tensor part =
        over_batch && padded
            ? distinct.Select(
                  norms_.NormalizeRows(stream.flatten(0, 1), begin, end, count, training))
            : norms_.NormalizeRows(distinct.Select(stream), begin, end, count, training);
    rows = begin == 0 ? part : rows + part;
  }
  if (linear_) rows = linear_->forward(rows);
  return {rows, distinct, padded};
}

bool ModalityEncoder::HoldStatisticsOf(const std::vector<Tensor>& streams,
                                       const Packing& packing) const {
  if (!norms_.OverBatch(/*training=*/true)) return false;
  const torch::NoGradGuard no_grad;
  norms_.BeginHold();
  MakeRows(streams, packing, /*training=*/true);
  norms_.EndHold();
  return true;
}

RecurrentRows ModalityEncoder::EncoderInput(const Rows& rows, const Packing& packing) {
  return {rows.values, packing.lengths(), rows.padded ? packing.max_length() : 0,
          rows.distinct.input_of()};
}

}  // namespace cmerc
