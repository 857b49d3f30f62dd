#include "backbones/m3net/stream_norms.h"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/normalization.h>

#include "absl/strings/str_cat.h"

namespace cmerc {
namespace {

using torch::Tensor;

// rows * part / whole
Tensor Share(const Tensor& rows, size_t part, size_t whole) {
  return part == whole ? rows : rows * (static_cast<double>(part) / static_cast<double>(whole));
}

// (of_stream(begin) + ... + of_stream(end - 1)) / num_streams. Normalizations of the same rows
// differ by a factor and a shift per feature only, so that their sum has the sum of factors and of
// shifts.
template <typename F>
Tensor Mean(size_t begin, size_t end, size_t num_streams, const F& of_stream) {
  Tensor sum = of_stream(begin);
  for (size_t s = begin + 1; s < end; ++s) sum = sum + of_stream(s);
  return sum / static_cast<double>(num_streams);
}

}  // namespace

StreamNorms::StreamNorms(M3NetOptions::Norm norm, const ModalityInfo& modality,
                         torch::nn::Module& parent)
    : norm_(norm) {
  for (int64_t s = 0; s < modality.num_streams; ++s) {
    if (norm == M3NetOptions::BN) {
      batch_norms_.push_back(
          parent.register_module(Name("BN", s), torch::nn::BatchNorm1d(modality.width)));
    } else if (norm == M3NetOptions::LN) {
      layer_norms_.push_back(parent.register_module(
          Name("LN", s), torch::nn::LayerNorm(torch::nn::LayerNormOptions({modality.width}))));
    }
  }
}

std::string StreamNorms::Name(const std::string& kind, int64_t stream) {
  return absl::StrCat(
      "norm", kind,
      stream < 26 ? std::string(1, static_cast<char>('a' + stream)) : absl::StrCat(stream));
}

Tensor StreamNorms::NormalizeRows(const Tensor& rows, size_t begin, size_t end, size_t num_streams,
                                  bool training) const {
  switch (norm_) {
    case M3NetOptions::BN:
      // One row has no variance (the official code crashes): as in evaluation.
      return training && (rows.size(0) > 1 || IsKept(begin))
                 ? NormalizeByBatch(rows, begin, end, num_streams)
                 : NormalizeByRunningStatistics(rows, begin, end, num_streams);
    case M3NetOptions::LN:
      return NormalizeByLayer(rows, begin, end, num_streams);
    case M3NetOptions::LN2:
    case M3NetOptions::NO_NORM:
      return Share(rows, end - begin, num_streams);
  }
  return rows;
}

Tensor StreamNorms::NormalizeByLayer(const Tensor& rows, size_t begin, size_t end,
                                     size_t num_streams) const {
  return torch::layer_norm(
      rows, {rows.size(1)},
      Mean(begin, end, num_streams, [&](size_t s) { return layer_norms_[s]->weight; }),
      Mean(begin, end, num_streams, [&](size_t s) { return layer_norms_[s]->bias; }),
      layer_norms_[begin]->options.eps());
}

Tensor StreamNorms::NormalizeByRunningStatistics(const Tensor& rows, size_t begin, size_t end,
                                                 size_t num_streams) const {
  const auto scale = [&](size_t s) {
    const torch::nn::BatchNorm1dImpl& norm = *batch_norms_[s];
    return norm.weight * (norm.running_var + norm.options.eps()).rsqrt();
  };
  const Tensor shift = Mean(begin, end, num_streams, [&](size_t s) {
    return batch_norms_[s]->bias - batch_norms_[s]->running_mean * scale(s);
  });
  return torch::addcmul(shift, rows, Mean(begin, end, num_streams, scale));
}

void StreamNorms::UseBatchStatistics(Backbone::BatchStatistics statistics) const {
  if (passes_->held) return;
  passes_->statistics = statistics;
  if (statistics != Backbone::BatchStatistics::kKept) passes_->kept.clear();
}

void StreamNorms::BeginHold() const {
  Release();
  UseBatchStatistics(Backbone::BatchStatistics::kOwnAndKeep);
}

void StreamNorms::EndHold() const {
  UseBatchStatistics(Backbone::BatchStatistics::kKept);
  passes_->held = true;
  // A part that is the whole batch has a gradient, too.
  for (auto& [begin, pass] : passes_->kept) pass.normalized = Tensor();
}

void StreamNorms::Release() const {
  passes_->held = false;
  UseBatchStatistics(Backbone::BatchStatistics::kOwn);
}

bool StreamNorms::IsKept(size_t begin) const {
  return passes_->statistics == Backbone::BatchStatistics::kKept && passes_->kept.count(begin) > 0;
}

Tensor StreamNorms::NormalizeByKept(const Pass& kept, const Tensor& rows, size_t begin, size_t end,
                                    size_t num_streams) const {
  // The same rows are the same bits, and are not normalized again, unless a gradient goes through
  // them (core/evidence_flags.h): that of the kept ones goes elsewhere.
  if (kept.normalized.defined() && !rows.requires_grad() && torch::equal(rows, kept.rows)) {
    return kept.normalized;
  }
  const auto count = static_cast<double>(kept.rows.size(0));
  const Tensor deviation =
      (kept.variance * ((count - 1) / count) + batch_norms_[begin]->options.eps()).sqrt();
  return torch::addcmul(
      Mean(begin, end, num_streams, [&](size_t s) { return batch_norms_[s]->bias; }),
      (rows - kept.mean) / deviation,
      Mean(begin, end, num_streams, [&](size_t s) { return batch_norms_[s]->weight; }));
}

Tensor StreamNorms::NormalizeByBatch(const Tensor& rows, size_t begin, size_t end,
                                     size_t num_streams) const {
  if (IsKept(begin)) {
    return NormalizeByKept(passes_->kept.at(begin), rows, begin, end, num_streams);
  }
  // With a momentum of 1 the running statistics become those of the batch.
  const Tensor batch_mean = torch::zeros_like(batch_norms_[begin]->running_mean);
  const Tensor batch_variance = torch::zeros_like(batch_mean);
  Tensor normalized = torch::batch_norm(
      rows, Mean(begin, end, num_streams, [&](size_t s) { return batch_norms_[s]->weight; }),
      Mean(begin, end, num_streams, [&](size_t s) { return batch_norms_[s]->bias; }), batch_mean,
      batch_variance,
      /*training=*/true, /*momentum=*/1, batch_norms_[begin]->options.eps(),
      /*cudnn_enabled=*/false);
  const torch::NoGradGuard no_grad;
  for (size_t s = begin; s < end; ++s) {
    torch::nn::BatchNorm1dImpl& norm = *batch_norms_[s];
    const double momentum = *norm.options.momentum();
    norm.running_mean.mul_(1 - momentum).add_(batch_mean, momentum);
    norm.running_var.mul_(1 - momentum).add_(batch_variance, momentum);
    norm.num_batches_tracked += 1;
  }
  if (passes_->statistics == Backbone::BatchStatistics::kOwnAndKeep) {
    passes_->kept[begin] = {rows, normalized, batch_mean, batch_variance};
  }
  return normalized;
}

Tensor StreamNorms::NormalizeConversations(const Tensor& stream, const Packing& packing,
                                           bool count_padding) {
  constexpr double kEpsilon = 1e-5;
  const Tensor weights =
      (count_padding ? torch::ones_like(packing.weights()) : packing.weights()).unsqueeze(2);
  const Tensor count = weights.sum({1, 2}, /*keepdim=*/true) * stream.size(2);
  const Tensor mean = (stream * weights).sum({1, 2}, /*keepdim=*/true) / count;
  const Tensor centered = (stream - mean) * weights;
  const Tensor variance = centered.square().sum({1, 2}, /*keepdim=*/true) / count;
  return centered * (variance + kEpsilon).rsqrt();
}

}  // namespace cmerc
