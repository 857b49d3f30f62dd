// Losses for PyTorch: the plugins themselves, by the text that a config has for them. Their
// gradients are those that they have in C++, since they record themselves as any other operation
// does.
#include <torch/library.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "config/loader.h"
#include "config/run.pb.h"
#include "core/confidence.h"
#include "core/status.h"
#include "python/arguments.h"

namespace cmerc::python {
namespace {

using torch::Tensor;

// Makes the loss of a config's `loss { options }`. InvalidArgument: what ReadText() and the plugin
// say of it.
absl::StatusOr<std::unique_ptr<Loss>> MakeLoss(const std::string& options,
                                               const DatasetInfo& info) {
  LossConfig config;
  RETURN_IF_ERROR(ReadText(absl::StrCat("loss { ", options, " }"), "loss", &config));
  return Losses().Create(config.loss(), info);
}

// The value of each loss, a scalar each, all of one input: what they share is computed once.
std::vector<Tensor> ComputeLosses(const std::vector<std::string>& options, const Tensor& log_probs,
                                  const c10::optional<Tensor>& features, const Tensor& labels,
                                  const std::vector<std::string>& views,
                                  const std::vector<Tensor>& view_log_probs,
                                  const std::vector<std::string>& modalities,
                                  const std::vector<int64_t>& class_counts) {
  CheckLogProbs("log_probs", log_probs);
  const DatasetInfo info = InfoOf(modalities, Numbered(log_probs.size(1)), class_counts);
  const LossInput input = InputOf(log_probs, features.value_or(Tensor()), labels,
                                  ViewsCalled(views, info), view_log_probs);
  std::vector<Tensor> values;
  for (const std::string& text : options) {
    const std::unique_ptr<Loss> loss = ValueOf(MakeLoss(text, info));
    values.push_back(ValueOf(loss->Compute(input)));
  }
  return values;
}

Tensor ComputeLoss(const std::string& options, const Tensor& log_probs,
                   const c10::optional<Tensor>& features, const Tensor& labels,
                   const std::vector<std::string>& views, const std::vector<Tensor>& view_log_probs,
                   const std::vector<std::string>& modalities,
                   const std::vector<int64_t>& class_counts) {
  return ComputeLosses({options}, log_probs, features, labels, views, view_log_probs, modalities,
                       class_counts)[0];
}

// The names of the views that a loss needs, and whether it does nothing unless they have a
// gradient.
std::tuple<std::vector<std::string>, bool> ViewsOfLoss(const std::string& options,
                                                       const std::vector<std::string>& modalities,
                                                       const std::vector<int64_t>& class_counts,
                                                       int64_t num_classes) {
  const std::unique_ptr<Loss> loss =
      ValueOf(MakeLoss(options, InfoOf(modalities, Numbered(num_classes), class_counts)));
  return {NamesOf(loss->views()), loss->teaches_views()};
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
      "Tensor[] view_log_probs, str[] modalities, int[] class_counts) -> Tensor[]",
      &ComputeLosses);
  library.def(
      "loss(str options, Tensor log_probs, Tensor? features, Tensor labels, str[] views, "
      "Tensor[] view_log_probs, str[] modalities, int[] class_counts) -> Tensor",
      &ComputeLoss);
  library.def(
      "views_of_loss(str options, str[] modalities, int[] class_counts, int num_classes) -> "
      "(str[], bool)",
      &ViewsOfLoss);
  library.def(
      "confidence_labels(Tensor log_probs, Tensor view_log_probs, Tensor labels) -> (Tensor, "
      "Tensor)",
      &LabelsOfConfidence);
}

}  // namespace cmerc::python
