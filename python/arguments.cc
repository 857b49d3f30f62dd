#include "python/arguments.h"

#include <algorithm>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/labelled.h"
#include "config/loader.h"
#include "config/run.pb.h"
#include "core/shape.h"

namespace cmerc::python {
namespace {

using torch::Tensor;

// What PyTorch's own losses take for "no label" by default.
constexpr int64_t kIgnoredByPyTorch = -100;

[[noreturn]] void Refuse(const std::string& why) { throw std::invalid_argument(why); }

}  // namespace

void ThrowUnlessOk(const absl::Status& status) {
  if (status.ok()) return;
  const std::string message(status.message());
  switch (status.code()) {
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      throw std::runtime_error(message);
    default:
      throw std::invalid_argument(message);
  }
}

DatasetInfo InfoOf(const std::vector<std::string>& modalities,
                   const std::vector<std::string>& class_names,
                   const std::vector<int64_t>& class_counts) {
  DatasetInfo info;
  info.name = "the data";
  for (const std::string& name : modalities) info.modalities.push_back({name, 1, 1});
  info.class_names = class_names;
  info.class_counts = class_counts;
  return info;
}

google::protobuf::Any OptionsOf(const std::string& text) {
  LossConfig config;
  ThrowUnlessOk(ReadText(absl::StrCat("loss { ", text, " }"), "loss", &config));
  return config.loss();
}

std::vector<std::string> Numbered(int64_t num_classes) {
  std::vector<std::string> names;
  for (int64_t c = 0; c < num_classes; ++c) names.push_back(absl::StrCat(c));
  return names;
}

std::vector<std::string> NamesOf(const std::vector<View>& views) {
  std::vector<std::string> names;
  for (const View& view : views) names.push_back(view.name());
  return names;
}

std::vector<View> ViewsCalled(const std::vector<std::string>& names, const DatasetInfo& info) {
  const std::vector<View> all = AllViews(info);
  std::vector<View> views;
  for (const std::string& name : names) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const View& view) { return view.name() == name; });
    if (found == all.end()) {
      Refuse(absl::StrCat("views has \"", name, "\", must be among ",
                          absl::StrJoin(NamesOf(all), ", ")));
    }
    views.push_back(*found);
  }
  return views;
}

Tensor CheckedLabels(const Tensor& labels, int64_t num_utterances, int64_t num_classes) {
  if (labels.sizes() != torch::IntArrayRef({num_utterances}) ||
      labels.scalar_type() != torch::kInt64) {
    Refuse(absl::StrCat("labels has shape ", ShapeString(labels.sizes()), " and dtype ",
                        c10::toString(labels.scalar_type()), ", want [", num_utterances,
                        "] Long, a class for each row of log_probs"));
  }
  const Tensor unified = labels.masked_fill(labels == kIgnoredByPyTorch, kUnlabelled);
  if (!unified.is_cpu()) return unified;
  const Tensor bad = (unified < kUnlabelled).logical_or(unified >= num_classes).nonzero();
  if (bad.size(0) == 0) return unified;
  const int64_t row = bad[0][0].item<int64_t>();
  Refuse(absl::StrCat("labels[", row, "] = ", labels[row].item<int64_t>(),
                      ", want a class from 0 to ", num_classes - 1, ", or ", kUnlabelled, " or ",
                      kIgnoredByPyTorch, " for an utterance without a label"));
}

void CheckLogProbs(const std::string& name, const Tensor& log_probs) {
  if (log_probs.dim() == 2 && log_probs.size(0) >= 1 && log_probs.size(1) >= 1 &&
      log_probs.is_floating_point()) {
    return;
  }
  Refuse(
      absl::StrCat(name, " has shape ", ShapeString(log_probs.sizes()), " and dtype ",
                   c10::toString(log_probs.scalar_type()),
                   ", want [N, C] of floating-point numbers: a row for each utterance that is no "
                   "padding, a column for each class"));
}

LossInput InputOf(const Tensor& log_probs, const Tensor& features, const Tensor& labels,
                  const std::vector<View>& views, const std::vector<Tensor>& view_log_probs) {
  CheckLogProbs("log_probs", log_probs);
  if (views.size() != view_log_probs.size()) {
    Refuse(absl::StrCat("there are ", view_log_probs.size(), " view_log_probs for ", views.size(),
                        " views, want one each"));
  }
  LossInput input;
  input.full = {log_probs, features};
  for (size_t v = 0; v < views.size(); ++v) {
    const std::string name = absl::StrCat("log_probs without ", views[v].name());
    CheckLogProbs(name, view_log_probs[v]);
    if (view_log_probs[v].sizes() != log_probs.sizes()) {
      Refuse(absl::StrCat(name, " has shape ", ShapeString(view_log_probs[v].sizes()), ", want ",
                          ShapeString(log_probs.sizes()), " as with all evidence"));
    }
    input.views.push_back({views[v], {view_log_probs[v], {}}});
  }
  input.labels = CheckedLabels(labels, log_probs.size(0), log_probs.size(1));
  const Tensor has_label = input.labels != kUnlabelled;
  if (has_label.all().item<bool>()) return input;
  const Tensor labelled = has_label.nonzero().squeeze(1);
  if (labelled.size(0) == 0) {
    Refuse("no utterance of the batch has a label: there is no loss, so take no step");
  }
  return OnlyLabelled(std::move(input), labelled);
}

}  // namespace cmerc::python
