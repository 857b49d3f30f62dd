#include "training/parts_check.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/nn/modules/batchnorm.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/batch.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "training/parts.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr int64_t kLengths[] = {4, 7, 2};

// Above what a matrix product of other rows may do to a last digit.
constexpr double kRounding = 1e-4;

Conversation RandomConversation(int64_t length, const DatasetInfo& info, at::Generator& random) {
  Conversation conversation;
  conversation.id = absl::StrCat(length);
  for (const ModalityInfo& modality : info.modalities) {
    conversation.features.emplace_back();
    for (int64_t s = 0; s < modality.num_streams; ++s) {
      conversation.features.back().push_back(
          torch::randn({length, modality.width}, random, torch::kFloat32));
    }
  }
  conversation.speakers = torch::arange(length).remainder(info.num_speakers);
  conversation.labels = torch::zeros({length}, torch::kInt64);
  return conversation;
}

// What a model is, put back at the end.
class AsItWas {
 public:
  explicit AsItWas(Backbone& backbone) : backbone_(backbone), training_(backbone.is_training()) {
    for (const auto& tensors : {backbone.parameters(), backbone.buffers()}) {
      for (const Tensor& tensor : tensors) state_.emplace_back(tensor, tensor.detach().clone());
    }
  }
  AsItWas(const AsItWas&) = delete;
  AsItWas& operator=(const AsItWas&) = delete;
  ~AsItWas() {
    const torch::NoGradGuard no_grad;
    for (auto& [tensor, value] : state_) tensor.copy_(value);
    backbone_.ReleaseStatistics();
    backbone_.train(training_);
  }

 private:
  Backbone& backbone_;
  const bool training_;
  std::vector<std::pair<Tensor, Tensor>> state_;
};

// Weights that are alike at first, such as one for each place in a batch, differ after a step.
void ChangeWeights(Backbone& backbone, at::Generator& random) {
  const torch::NoGradGuard no_grad;
  for (Tensor parameter : backbone.parameters()) {
    parameter.add_(0.1 * torch::randn(parameter.sizes(), random, torch::kFloat32));
  }
}

// The largest difference between answers; infinite where one is no number.
double Change(const Tensor& whole, const Tensor& part) {
  const double scale = std::max(1.0, whole.abs().max().item<double>());
  const double change = (whole - part).abs().max().item<double>() / scale;
  return std::isnan(change) ? std::numeric_limits<double>::infinity() : change;
}

// By how much answers change when the other conversations of the batch go.
absl::StatusOr<double> ChangeByMates(Backbone& backbone, const Batch& batch) {
  const torch::NoGradGuard no_grad;
  backbone.eval();
  ASSIGN_OR_RETURN(const Prediction whole, backbone.Forward(batch));
  double largest = 0;
  int64_t row = 0;
  for (int64_t b = 0; b < batch.num_conversations(); ++b) {
    const Batch part = CutBatch(batch, {b, b + 1});
    ASSIGN_OR_RETURN(const Prediction alone, backbone.Forward(part));
    const int64_t length = part.num_utterances();
    largest = std::max({largest, Change(whole.log_probs.narrow(0, row, length), alone.log_probs),
                        Change(whole.features.narrow(0, row, length), alone.features)});
    row += length;
  }
  return largest;
}

bool HasBatchNorm(const Backbone& backbone) {
  const auto modules = backbone.modules(/*include_self=*/false);
  return std::any_of(modules.begin(), modules.end(), [](const auto& module) {
    return module->template as<torch::nn::BatchNorm1d>() != nullptr ||
           module->template as<torch::nn::BatchNorm2d>() != nullptr ||
           module->template as<torch::nn::BatchNorm3d>() != nullptr;
  });
}

absl::Status CheckStatistics(Backbone& backbone, const std::string& name, const Batch& batch,
                             const RunConfig& config) {
  backbone.train();
  ASSIGN_OR_RETURN(const bool holds, CatchTorch([&] { return backbone.HoldStatisticsOf(batch); }));
  backbone.ReleaseStatistics();
  if (!holds && HasBatchNorm(backbone)) {
    return absl::InvalidArgumentError(
        absl::StrCat("training.parts: ", name,
                     " normalizes over the batch and cannot do so over one that is divided "
                     "(Backbone::HoldStatisticsOf()); take another backbone, or set parts: 0"));
  }
  if (holds && config.calibration().evidence_flags()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "training.parts: ", name,
        " normalizes over the batch, and with calibration.evidence_flags what it normalizes has "
        "parameters of its own, whose gradient would lack the part that goes through the "
        "statistics; take another normalization, such as M3Net's norm: LN, or leave one of the "
        "two out"));
  }
  return absl::OkStatus();
}

absl::Status Check(Backbone& backbone, const std::string& name, const RunConfig& config) {
  for (const auto& parameter : backbone.named_parameters()) {
    if (parameter.value().scalar_type() == torch::kFloat32) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "training.parts: the parameter ", parameter.key(), " of ", name, " is of type ",
        torch::toString(parameter.value().scalar_type()), ", want Float; set parts: 0"));
  }
  at::Generator random = at::make_generator<at::CPUGeneratorImpl>(/*seed_in=*/1);
  std::vector<Conversation> conversations;
  for (const int64_t length : kLengths) {
    conversations.push_back(RandomConversation(length, backbone.info(), random));
  }
  const Batch batch = MakeBatch(conversations, backbone.info());
  ChangeWeights(backbone, random);
  ASSIGN_OR_RETURN(const double change, ChangeByMates(backbone, batch));
  if (change > kRounding) {
    return absl::InvalidArgumentError(absl::StrCat(
        "training.parts: answers of ", name,
        " to a conversation depend on the others of its batch (they change by ", change,
        "), so that a part of a batch has other ones, as padding has a say with semantics: "
        "OFFICIAL; set another option or take another backbone, or set parts: 0"));
  }
  return CheckStatistics(backbone, name, batch, config);
}

}  // namespace

absl::Status CheckParts(Backbone& backbone, const std::string& name, const RunConfig& config) {
  if (config.training().parts() == 0) return absl::OkStatus();
  return CatchTorch([&] {
    const AsItWas as_it_was(backbone);
    return Check(backbone, name, config);
  });
}

}  // namespace cmerc
