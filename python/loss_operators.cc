// Losses for PyTorch: the plugins themselves, by the text that a config has for them. Their
// gradients are those that they have in C++, since they record themselves as any other operation
// does.
#include <torch/library.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/weighted_losses.h"
#include "core/confidence.h"
#include "core/loss.h"
#include "python/arguments.h"

namespace cmerc::python {
namespace {

using torch::Tensor;

// The losses, with what they remember of earlier steps in its place: `memory` has the tensors of
// Loss::State() of each in turn. Throws std::invalid_argument for others, above all for none where
// a loss remembers something, which would begin anew at every step.
std::vector<std::unique_ptr<Loss>> LossesOf(const std::vector<std::string>& options,
                                            const DatasetInfo& info,
                                            const std::vector<Tensor>& memory) {
  const torch::NoGradGuard no_grad;
  std::vector<std::unique_ptr<Loss>> losses;
  std::vector<std::string> names;
  for (const std::string& text : options) {
    losses.push_back(ValueOf(Losses().Create(OptionsOf(text), info)));
    for (auto& [name, tensor] : losses.back()->State()) {
      names.push_back(name);
      if (names.size() <= memory.size()) Tensor(tensor).copy_(memory[names.size() - 1]);
    }
  }
  if (names.size() == memory.size()) return losses;
  throw std::invalid_argument(
      absl::StrCat("memory has ", memory.size(), " tensors, want ", names.size(), " (",
                   absl::StrJoin(names, ", "),
                   "), what the losses remember from step to step: cmerc.Calibrated keeps it"));
}

// The input of losses, all of it checked.
LossInput CheckedInput(const Tensor& log_probs, const c10::optional<Tensor>& features,
                       const Tensor& labels, const std::vector<std::string>& views,
                       const std::vector<Tensor>& view_log_probs, const DatasetInfo& info) {
  return InputOf(log_probs, features.value_or(Tensor()), labels, ViewsCalled(views, info),
                 view_log_probs);
}

// The data that losses are made for and their predictions are of.
DatasetInfo InfoOfLosses(const Tensor& log_probs, const std::vector<std::string>& modalities,
                         const std::vector<int64_t>& class_counts) {
  CheckLogProbs("log_probs", log_probs);
  return InfoOf(modalities, Numbered(log_probs.size(1)), class_counts);
}

// The value of each loss, a scalar each, all of one input: what they share is computed once.
// `drawn`: `views` are some of those that losses ask for, at least one of each that asks for any
// (calibration/weighted_losses.h, LossOfDrawn()).
std::vector<Tensor> ComputeLosses(const std::vector<std::string>& options, const Tensor& log_probs,
                                  const c10::optional<Tensor>& features, const Tensor& labels,
                                  const std::vector<std::string>& views,
                                  const std::vector<Tensor>& view_log_probs,
                                  const std::vector<std::string>& modalities,
                                  const std::vector<int64_t>& class_counts,
                                  const std::vector<Tensor>& memory, bool drawn) {
  const DatasetInfo info = InfoOfLosses(log_probs, modalities, class_counts);
  const LossInput input = CheckedInput(log_probs, features, labels, views, view_log_probs, info);
  std::vector<Tensor> values;
  for (const std::unique_ptr<Loss>& loss : LossesOf(options, info, memory)) {
    if (!drawn) {
      values.push_back(ValueOf(loss->Compute(input)));
      continue;
    }
    values.push_back(ValueOf(LossOfDrawn(*loss, ViewsCalled(views, info), input)));
    if (!values.back().defined()) {
      throw std::invalid_argument(
          absl::StrCat("losses[", values.size() - 1, "]: none of its views (",
                       absl::StrJoin(NamesOf(loss->views()), ", "), ") was drawn; leave it out"));
    }
  }
  return values;
}

Tensor ComputeLoss(const std::string& options, const Tensor& log_probs,
                   const c10::optional<Tensor>& features, const Tensor& labels,
                   const std::vector<std::string>& views, const std::vector<Tensor>& view_log_probs,
                   const std::vector<std::string>& modalities,
                   const std::vector<int64_t>& class_counts) {
  return ComputeLosses({options}, log_probs, features, labels, views, view_log_probs, modalities,
                       class_counts, {}, /*drawn=*/false)[0];
}

// The memory after a step that was taken with the values of ComputeLosses() of the same arguments.
std::vector<Tensor> RememberStep(const std::vector<std::string>& options, const Tensor& log_probs,
                                 const c10::optional<Tensor>& features, const Tensor& labels,
                                 const std::vector<std::string>& views,
                                 const std::vector<Tensor>& view_log_probs,
                                 const std::vector<std::string>& modalities,
                                 const std::vector<int64_t>& class_counts,
                                 const std::vector<Tensor>& memory) {
  const torch::NoGradGuard no_grad;
  const DatasetInfo info = InfoOfLosses(log_probs, modalities, class_counts);
  const LossInput input = CheckedInput(log_probs, features, labels, views, view_log_probs, info);
  std::vector<Tensor> after;
  for (const std::unique_ptr<Loss>& loss : LossesOf(options, info, memory)) {
    ThrowUnlessOk(loss->AfterStep(input));
    for (const auto& [name, tensor] : loss->State()) after.push_back(tensor.clone());
  }
  return after;
}

// The confidence label of each labelled utterance (core/confidence.h), and the weights of the two.
std::tuple<Tensor, Tensor> LabelsOfConfidence(const Tensor& log_probs, const Tensor& view_log_probs,
                                              const Tensor& labels) {
  const LossInput input =
      InputOf(log_probs, {}, labels, {{View::Kind::kSameSpeaker, {}}}, {view_log_probs});
  const Tensor confidence =
      ConfidenceLabels(input.full.log_probs, input.views[0].prediction.log_probs, input.labels);
  return {confidence, ConfidenceClassWeights(confidence)};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cmerc, library) {
  library.def(
      "losses(str[] options, Tensor log_probs, Tensor? features, Tensor labels, str[] views, "
      "Tensor[] view_log_probs, str[] modalities, int[] class_counts, Tensor[] memory, bool "
      "drawn=False) -> Tensor[]",
      &ComputeLosses);
  library.def(
      "loss(str options, Tensor log_probs, Tensor? features, Tensor labels, str[] views, "
      "Tensor[] view_log_probs, str[] modalities, int[] class_counts) -> Tensor",
      &ComputeLoss);
  library.def(
      "remember_step(str[] options, Tensor log_probs, Tensor? features, Tensor labels, str[] "
      "views, "
      "Tensor[] view_log_probs, str[] modalities, int[] class_counts, Tensor[] memory) -> Tensor[]",
      &RememberStep);
  library.def(
      "confidence_labels(Tensor log_probs, Tensor view_log_probs, Tensor labels) -> (Tensor, "
      "Tensor)",
      &LabelsOfConfidence);
}

}  // namespace cmerc::python
