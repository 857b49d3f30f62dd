#include "training/step_in_parts.h"

#include <torch/csrc/autograd/autograd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "profile/scope.h"
#include "training/part_streams.h"
#include "training/step_predictions.h"

namespace cmerc {
namespace {

using torch::Tensor;

// While it lives, a backbone that normalizes over the batch does so over the whole one.
class WholeBatchStatistics {
 public:
  WholeBatchStatistics(Backbone& backbone, const Batch& batch) : backbone_(backbone) {
    backbone.HoldStatisticsOf(batch);
  }
  WholeBatchStatistics(const WholeBatchStatistics&) = delete;
  WholeBatchStatistics& operator=(const WholeBatchStatistics&) = delete;
  ~WholeBatchStatistics() { backbone_.ReleaseStatistics(); }

 private:
  Backbone& backbone_;
};

// log_probs and features of the full prediction, then those of each view, in float32.
std::vector<Tensor> OutputsOf(const LossInput& input) {
  std::vector<Tensor> outputs = {input.full.log_probs, input.full.features};
  for (const ViewPrediction& view : input.views) {
    outputs.insert(outputs.end(), {view.prediction.log_probs, view.prediction.features});
  }
  for (Tensor& output : outputs) output = output.to(torch::kFloat32);
  return outputs;
}

// [n * W]: these outputs [n, ...] side by side, on the CPU and without gradient.
Tensor SideBySide(const std::vector<Tensor>& outputs) {
  const torch::NoGradGuard no_grad;
  return torch::cat(outputs, 1).flatten().cpu();
}

// The gradients of all parameters one after the other, 0 where there is none, and then for each
// parameter whether there is one, as 1 or 0. Sums of the latter count.
Tensor Flatten(const std::vector<Tensor>& parameters) {
  int64_t numbers = static_cast<int64_t>(parameters.size());
  for (const Tensor& parameter : parameters) numbers += parameter.numel();
  const torch::NoGradGuard no_grad;
  Tensor flat = torch::empty({numbers}, torch::kFloat32);
  int64_t begin = 0;
  int64_t flag = numbers - static_cast<int64_t>(parameters.size());
  for (const Tensor& parameter : parameters) {
    const Tensor& gradient = parameter.grad();
    const Tensor place = flat.narrow(0, begin, parameter.numel()).view(parameter.sizes());
    gradient.defined() ? place.copy_(gradient) : place.zero_();
    flat[flag] = gradient.defined() ? 1 : 0;
    begin += parameter.numel();
    ++flag;
  }
  return flat;
}

// What Flatten() was given, or sums of that.
std::vector<Tensor> Unflatten(const Tensor& flat, const std::vector<Tensor>& parameters) {
  const int64_t flags = flat.size(0) - static_cast<int64_t>(parameters.size());
  const float* has_gradient = flat.data_ptr<float>() + flags;
  std::vector<Tensor> gradients;
  int64_t begin = 0;
  for (const Tensor& parameter : parameters) {
    const Tensor gradient = flat.narrow(0, begin, parameter.numel()).view(parameter.sizes());
    gradients.push_back(*has_gradient++ > 0 ? gradient.to(parameter.device()) : Tensor());
    begin += parameter.numel();
  }
  return gradients;
}

}  // namespace

Slice StepInParts::PartsOf(int rank) {
  return SliceOf(context_.training.parts(), processes().size(), rank);
}

absl::Status StepInParts::PredictParts(const Batch& batch) {
  // Where the rows of each conversation begin.
  const Tensor rows = batch.lengths.cumsum(0) - batch.lengths;
  const WholeBatchStatistics statistics(context_.live, batch);
  PartStreams streams(batch.labels.device());
  const Slice parts = PartsOf(processes().rank());
  for (int64_t p = parts.begin; p < parts.end; ++p) {
    const Slice conversations = SliceOf(batch.num_conversations(), context_.training.parts(), p);
    parts_.emplace_back();
    if (conversations.size() == 0) continue;
    streams.Begin(p);
    ASSIGN_OR_RETURN(const LossInput input, PredictAll(context_, CutBatch(batch, conversations)));
    parts_.back().first_row = rows[conversations.begin].item<int64_t>();
    parts_.back().outputs = OutputsOf(input);
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> StepInParts::GatherOutputs(const Batch& batch) {
  std::vector<Tensor> mine = {torch::empty({0}, torch::kFloat32)};
  for (const Part& part : parts_) {
    if (!part.outputs.empty()) mine.push_back(SideBySide(part.outputs));
  }
  ASSIGN_OR_RETURN(const std::vector<Tensor> all,
                   processes().AllGather(torch::cat(mine), "predictions of the parts"));
  const Tensor rows = torch::cat(all).to(batch.labels.device());
  const int64_t num = batch.num_utterances();
  if (num == 0 || rows.numel() % num != 0) {
    return absl::InternalError(absl::StrCat("the parts of a batch of ", num, " utterances predict ",
                                            rows.numel(), " numbers"));
  }
  return rows.view({num, -1});
}

LossInput StepInParts::TakeApart(const Tensor& rows, const Tensor& labels) {
  const std::vector<View> views = ViewsOfStep(context_);
  const int64_t classes = context_.live.info().num_classes();
  const int64_t width = rows.size(1) / static_cast<int64_t>(views.size() + 1) - classes;
  TORCH_CHECK(
      width >= 0 && (width + classes) * static_cast<int64_t>(views.size() + 1) == rows.size(1),
      "the parts of a batch predict ", rows.size(1), " numbers for an utterance");
  const CalibrationConfig::Weights weights = context_.calibration.view_weights();
  const bool views_have_gradient =
      weights == CalibrationConfig::LIVE_PAIRED || weights == CalibrationConfig::LIVE_WITH_GRADIENT;
  int64_t column = 0;
  const auto next = [&](int64_t columns, bool has_gradient) {
    const Tensor leaf = rows.narrow(1, column, columns).clone(torch::MemoryFormat::Contiguous);
    column += columns;
    leaves_.push_back(leaf.set_requires_grad(has_gradient));
    return leaf;
  };
  const auto prediction = [&](bool has_gradient) {
    const Tensor log_probs = next(classes, has_gradient);
    return Prediction{log_probs, next(width, has_gradient)};
  };
  LossInput input{prediction(true), {}, labels};
  for (const View& view : views) input.views.push_back({view, prediction(views_have_gradient)});
  return input;
}

absl::StatusOr<LossInput> StepInParts::Predict(const Batch& batch) {
  return CatchTorch([&]() -> absl::StatusOr<LossInput> {
    RETURN_IF_ERROR(PredictParts(batch));
    ASSIGN_OR_RETURN(const Tensor rows, GatherOutputs(batch));
    return TakeApart(rows, batch.labels);
  });
}

Tensor StepInParts::GradientsOf(Part& part, const std::vector<Tensor>& parameters) {
  for (const Tensor& parameter : parameters) parameter.mutable_grad().reset();
  std::vector<Tensor> outputs, gradients;
  for (size_t i = 0; i < part.outputs.size(); ++i) {
    const Tensor gradient = leaves_[i].grad();
    if (!gradient.defined() || !part.outputs[i].requires_grad()) continue;
    outputs.push_back(part.outputs[i]);
    gradients.push_back(gradient.narrow(0, part.first_row, part.outputs[i].size(0)));
  }
  // What the part remembers of its prediction is no longer needed.
  part.outputs.clear();
  if (!outputs.empty()) torch::autograd::backward(outputs, gradients);
  return Flatten(parameters);
}

absl::StatusOr<Tensor> StepInParts::SumOverParts(const std::vector<Tensor>& parameters) {
  PartSums mine;
  int64_t number = PartsOf(processes().rank()).begin;
  for (Part& part : parts_) mine.Add({number++, 1, GradientsOf(part, parameters)});
  std::vector<Tensor> sums;
  for (const PartSums::Node& node : mine.nodes()) sums.push_back(node.sum.unsqueeze(0));
  // They are large: one is not copied.
  const Tensor given = sums.size() == 1 ? sums[0] : torch::cat(sums);
  ASSIGN_OR_RETURN(const std::vector<Tensor> all,
                   processes().AllGather(given, "gradients of the parts"));
  PartSums total;
  for (int rank = 0; rank < processes().size(); ++rank) {
    const std::vector<PartSums::Node> nodes = PartSums::NodesOf(PartsOf(rank));
    TORCH_CHECK(all[rank].size(0) == static_cast<int64_t>(nodes.size()), "process ", rank, " has ",
                all[rank].size(0), " sums of gradients, want ", nodes.size());
    for (size_t i = 0; i < nodes.size(); ++i) {
      total.Add({nodes[i].first, nodes[i].size, all[rank][static_cast<int64_t>(i)]});
    }
  }
  return total.nodes().front().sum;
}

absl::StatusOr<std::vector<Tensor>> StepInParts::PassOn(const std::vector<Tensor>& parameters) {
  const ProfileScope scope("backward");
  ASSIGN_OR_RETURN(const Tensor sum, SumOverParts(parameters));
  for (const Tensor& parameter : parameters) parameter.mutable_grad().reset();
  return Unflatten(sum, parameters);
}

}  // namespace cmerc
