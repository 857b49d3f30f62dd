#include "config/field_names.h"

#include <google/protobuf/any.pb.h>

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "config/run.pb.h"
#include "registry/nearest_name.h"
#include "registry/range.pb.h"
#include "registry/registry.h"

namespace cmerc::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Names that are options of other programs and are none here, and what is there instead.
const std::map<std::string, std::string>& NoOptions() {
  static const auto* reasons = [] {
    const std::string adam =
        "the optimizer is Adam or AdamW with betas of 0.9 and 0.999: training { optimizer: ADAMW "
        "learning_rate: ... weight_decay: ... }";
    const std::string warmup =
        "a schedule warms up: training { learning_rate_schedule { "
        "[type.googleapis.com/cmerc.CosineRateOptions] { warmup_epochs: 3 } } }";
    const std::string decay =
        "a schedule lowers the learning rate: training { learning_rate_schedule { "
        "[type.googleapis.com/cmerc.StepRateOptions] {} } }; cmerc plugins learning_rates lists "
        "all";
    const std::string flag = "the folder of a run is a flag: --output=DIR";
    return new std::map<std::string, std::string>{
        {"momentum", adam},        {"betas", adam},          {"amsgrad", adam},
        {"warmup", warmup},        {"warmup_steps", warmup}, {"warmup_ratio", warmup},
        {"warmup_epochs", warmup}, {"lr_decay", decay},      {"lr_step", decay},
        {"lr_gamma", decay},       {"min_lr", decay},        {"output", flag},
        {"output_dir", flag},      {"save_dir", flag},       {"log_dir", flag},
    };
  }();
  return *reasons;
}

bool IsCalled(const FieldDescriptor& field, const std::string& name) {
  if (absl::EqualsIgnoreCase(field.name(), name)) return true;
  for (int i = 0; i < field.options().ExtensionSize(also_called); ++i) {
    if (absl::EqualsIgnoreCase(field.options().GetExtension(also_called, i), name)) return true;
  }
  return false;
}

// The field of `type` that is called `name`, here or elsewhere; null if there is none.
const FieldDescriptor* FindCalled(const Descriptor& type, const std::string& name) {
  for (int i = 0; i < type.field_count(); ++i) {
    if (IsCalled(*type.field(i), name)) return type.field(i);
  }
  return nullptr;
}

// "training { learning_rate: ... }" for a field of `type` or of a message in it, or "".
// `depth` is how many messages are around it: some hold themselves.
std::string InConfig(const Descriptor& type, const std::string& name, int depth = 0) {
  constexpr int kDeepest = 4;
  if (depth == kDeepest) return "";
  const FieldDescriptor* found = FindCalled(type, name);
  if (found != nullptr) {
    const bool is_message = found->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    return absl::StrCat(found->name(), is_message ? " { ... }" : ": ...");
  }
  for (int i = 0; i < type.field_count(); ++i) {
    const Descriptor* inner = type.field(i)->message_type();
    if (inner == nullptr || inner == google::protobuf::Any::descriptor()) continue;
    const std::string within = InConfig(*inner, name, depth + 1);
    if (!within.empty()) return absl::StrCat(type.field(i)->name(), " { ", within, " }");
  }
  return "";
}

// "field_name of cmerc.GruOptions, cmerc.M3NetOptions", for plugins that have such an option; "".
std::string InPlugins(const std::string& name) {
  std::vector<std::string> plugins;
  for (const RegistryBase* registry : AllRegistries()) {
    for (const auto& [type, plugin] : registry->plugins()) {
      const FieldDescriptor* field = FindCalled(*plugin.options, name);
      if (field != nullptr) plugins.push_back(absl::StrCat(field->name(), " of ", type));
    }
  }
  constexpr size_t kMost = 3;
  const size_t more = plugins.size() - std::min(plugins.size(), kMost);
  plugins.resize(plugins.size() - more);
  if (more > 0) plugins.push_back(absl::StrCat(more, " more"));
  return absl::StrJoin(plugins, ", ");
}

// What was meant by `name`, with "; " behind it; "" if nobody knows.
std::string Meant(const std::string& name, const Descriptor& type,
                  const std::vector<std::string>& fields) {
  const FieldDescriptor* called = FindCalled(type, name);
  const std::string nearest = called != nullptr ? called->name() : NearestName(name, fields);
  const auto reason = NoOptions().find(name);
  if (reason != NoOptions().end() && called == nullptr) return absl::StrCat(reason->second, "; ");
  if (!nearest.empty()) return absl::StrCat("did you mean \"", nearest, "\"? ");
  std::string place = InConfig(type, name);  // in a plan, "base { training { ... } }"
  if (place.empty()) place = InConfig(*RunConfig::descriptor(), name);
  if (!place.empty()) return absl::StrCat("did you mean ", place, "? ");
  const std::string plugins = InPlugins(name);
  return plugins.empty() ? "" : absl::StrCat("did you mean ", plugins, "? ");
}

}  // namespace

const FieldDescriptor* FindField(const Descriptor& type, const std::string& name) {
  const FieldDescriptor* field = type.FindFieldByName(name);
  for (int i = 0; field == nullptr && i < type.field_count(); ++i) {
    const google::protobuf::FieldOptions& options = type.field(i)->options();
    for (int k = 0; k < options.ExtensionSize(former_name); ++k) {
      if (options.GetExtension(former_name, k) == name) field = type.field(i);
    }
  }
  return field;
}

std::string UnknownField(const std::string& name, const Descriptor& type) {
  std::vector<std::string> fields;
  for (int i = 0; i < type.field_count(); ++i) fields.push_back(type.field(i)->name());
  return absl::StrCat("message type \"", type.full_name(), "\" has no field \"", name, "\"; ",
                      Meant(name, type, fields),
                      "fields: ", fields.empty() ? "none" : absl::StrJoin(fields, ", "));
}

}  // namespace cmerc::config
