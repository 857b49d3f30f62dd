// What losses need, before the first step is taken with them, and what a config says of them.
#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>
#include <torch/library.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/weighted_losses.h"
#include "config/loader.h"
#include "config/run.pb.h"
#include "core/loss.h"
#include "python/arguments.h"
#include "registry/registry.h"

namespace cmerc::python {
namespace {

using google::protobuf::Any;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using torch::Tensor;

// The options in `any`, whose type is linked in, as that of every plugin is.
std::unique_ptr<Message> Unpacked(const Any& any) {
  const auto* type =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(PluginType(any));
  if (type == nullptr) throw std::invalid_argument(UnknownPluginMessage(PluginType(any)));
  std::unique_ptr<Message> options(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  if (!any.UnpackTo(options.get())) {
    throw std::invalid_argument(absl::StrCat("the options of ", PluginType(any), " are damaged"));
  }
  return options;
}

// `message` on one line, "shrinkage: 0.2 center: UNIFORM", as a config has it.
std::string OneLine(const Message& message) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.SetExpandAny(true);
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  printer.PrintToString(message, &text);
  return text;
}

// Lets options of a loss that name no views, though they could, name these. False for others.
bool NameViews(const std::vector<std::string>& views, Any* any) {
  const std::unique_ptr<Message> options = Unpacked(*any);
  const FieldDescriptor* field = options->GetDescriptor()->FindFieldByName("views");
  if (field == nullptr || !field->is_repeated() ||
      field->cpp_type() != FieldDescriptor::CPPTYPE_STRING ||
      options->GetReflection()->FieldSize(*options, field) > 0) {
    return false;
  }
  for (const std::string& view : views) {
    options->GetReflection()->AddString(options.get(), field, view);
  }
  any->PackFrom(*options);
  return true;
}

// The loss of `any`, made to name those of its views that are `allowed` where it asks for more.
// Throws std::invalid_argument, with `name`, where it cannot do with fewer.
std::unique_ptr<Loss> LossWithin(const std::vector<View>& allowed, const std::string& name,
                                 const DatasetInfo& info, Any* any) {
  std::unique_ptr<Loss> loss = ValueOf(Losses().Create(*any, info));
  std::vector<std::string> kept, left_out;
  for (const View& view : loss->views()) {
    const bool is_allowed = std::find(allowed.begin(), allowed.end(), view) != allowed.end();
    (is_allowed ? kept : left_out).push_back(view.name());
  }
  if (left_out.empty()) return loss;
  if (!kept.empty() && NameViews(kept, any)) return ValueOf(Losses().Create(*any, info));
  throw std::invalid_argument(
      absl::StrCat("the loss ", name, " needs ", absl::StrJoin(left_out, ", "),
                   ", which views = ", absl::StrJoin(NamesOf(allowed), ", "), " leaves out"));
}

// Throws std::invalid_argument where a step cannot be taken with the loss.
void CheckSteps(const Loss& loss, const std::string& name, const std::string& view_weights,
                int64_t views_per_step) {
  if (loss.teaches_views() && (view_weights == "EPOCH_SNAPSHOT" || view_weights == "LIVE")) {
    throw std::invalid_argument(absl::StrCat(
        "view_weights = \"", view_weights, "\": ", name,
        " teaches the predictions without a source of evidence, which have no gradient then; "
        "view_weights=\"LIVE_PAIRED\""));
  }
  if (views_per_step > 0 && !CanDrawViews(loss)) {
    throw std::invalid_argument(
        absl::StrCat("views_per_step = ", views_per_step, ": ", name,
                     " cannot be computed from some of its views; leave one of the two out"));
  }
}

// Of losses of these options, called `names` in messages, that may use `views`: their options, with
// which they use no others, the views of each, and what they remember before the first step, by
// "name/...", in the order in which the operator `losses` wants it.
std::tuple<std::vector<std::string>, c10::List<c10::List<std::string>>,
           c10::Dict<std::string, Tensor>>
PlanLosses(const std::vector<std::string>& names, const std::vector<std::string>& options,
           const std::vector<std::string>& views, const std::string& view_weights,
           int64_t views_per_step, const std::vector<std::string>& modalities,
           const std::vector<int64_t>& class_counts, int64_t num_classes) {
  const DatasetInfo info = InfoOf(modalities, Numbered(num_classes), class_counts);
  const std::vector<View> allowed = ViewsCalled(views, info);
  std::vector<std::string> texts;
  c10::List<c10::List<std::string>> views_of;
  c10::Dict<std::string, Tensor> memory;
  for (size_t i = 0; i < options.size(); ++i) {
    Any any = OptionsOf(options[i]);
    const std::unique_ptr<Loss> loss = LossWithin(allowed, names.at(i), info, &any);
    CheckSteps(*loss, names[i], view_weights, views_per_step);
    texts.push_back(OneLine(any));
    views_of.push_back(c10::List<std::string>(NamesOf(loss->views())));
    for (const auto& [name, tensor] : loss->State()) {
      memory.insert(absl::StrCat(names[i], "/", name), tensor.clone());
    }
  }
  return {texts, views_of, memory};
}

// The names of all views of these modalities, or `only`, of which each is one.
std::vector<std::string> Views(const std::vector<std::string>& modalities,
                               const c10::optional<std::vector<std::string>>& only) {
  const DatasetInfo info = InfoOf(modalities, {}, {});
  return NamesOf(only.has_value() ? ViewsCalled(*only, info) : AllViews(info));
}

// Of a config's text: plugin, options and weight of each loss, calibration.view_weights,
// evidence_flags and views_per_step. Throws std::invalid_argument where Calibrated has no
// counterpart to what it says.
std::tuple<std::vector<std::string>, std::vector<std::string>, std::vector<double>, std::string,
           bool, int64_t>
CalibrationOfConfig(const std::string& text) {
  RunConfig config;
  ThrowUnlessOk(ReadText(text, "the config", &config));
  const CalibrationConfig& calibration = config.calibration();
  if (calibration.masked_mean() != CalibrationConfig::REAL_UTTERANCES) {
    throw std::invalid_argument("calibration.masked_mean = PADDED_ROWS: Calibrated has none");
  }
  std::vector<std::string> plugins, options;
  std::vector<double> weights;
  for (const LossConfig& loss : config.losses()) {
    if (loss.warm_up_epochs() > 0) {
      throw std::invalid_argument("losses.warm_up_epochs: Calibrated has none");
    }
    plugins.push_back(ShortPluginName(PluginType(loss.loss())));
    options.push_back(OneLine(*Unpacked(loss.loss())));
    weights.push_back(loss.weight());
  }
  return {plugins,
          options,
          weights,
          CalibrationConfig::Weights_Name(calibration.view_weights()),
          calibration.evidence_flags(),
          calibration.views_per_step()};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cmerc, library) {
  library.def(
      "plan_losses(str[] names, str[] options, str[] views, str view_weights, int views_per_step, "
      "str[] modalities, int[] class_counts, int num_classes) -> (str[], str[][], Dict(str, "
      "Tensor))",
      &PlanLosses);
  library.def("views(str[] modalities, str[]? only=None) -> str[]", &Views);
  library.def(
      "calibration_of_config(str config) -> (str[] plugins, str[] options, float[] weights, str "
      "view_weights, bool evidence_flags, int views_per_step)",
      &CalibrationOfConfig);
}

}  // namespace cmerc::python
