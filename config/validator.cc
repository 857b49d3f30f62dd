#include "config/validator.h"

#include <google/protobuf/text_format.h>

#include <cmath>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "registry/registry.h"

namespace cmerc {
namespace {

using google::protobuf::Any;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// The kind of plugin that a field of RunConfig takes; "" for another plugin's field, which
// may take any kind.
std::string KindOf(const FieldDescriptor& field) {
  static const auto* kinds = new std::map<std::string, std::string>{
      {"cmerc.DataConfig.dataset", "dataset"},
      {"cmerc.RunConfig.backbone", "backbone"},
      {"cmerc.LossConfig.loss", "loss"},
      {"cmerc.CurriculumConfig.scheduler", "scheduler"},
  };
  const auto it = kinds->find(field.full_name());
  return it == kinds->end() ? "" : it->second;
}

// Every number type of a config fits: a range never tells apart integers beyond 2^53.
double NumberValue(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return repeated ? reflection.GetRepeatedInt32(message, &field, index)
                      : reflection.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return repeated ? reflection.GetRepeatedUInt32(message, &field, index)
                      : reflection.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<double>(repeated ? reflection.GetRepeatedInt64(message, &field, index)
                                          : reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return static_cast<double>(repeated ? reflection.GetRepeatedUInt64(message, &field, index)
                                          : reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return repeated ? reflection.GetRepeatedFloat(message, &field, index)
                      : reflection.GetFloat(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return repeated ? reflection.GetRepeatedDouble(message, &field, index)
                      : reflection.GetDouble(message, &field);
    default:
      return 0;  // not a number: in every range
  }
}

bool InRange(double value, const Range& range) {
  return (!range.has_min() || value >= range.min()) && (!range.has_max() || value <= range.max()) &&
         (!range.has_above() || value > range.above()) &&
         (!range.has_below() || value < range.below());
}

class Validator {
 public:
  explicit Validator(Problems* problems) : problems_(*problems) {}

  // Every field that is set, and what is inside it.
  void CheckFields(const Message& message, const std::string& path) {
    const Reflection& reflection = *message.GetReflection();
    std::vector<const FieldDescriptor*> fields;
    reflection.ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      const std::string field_path = absl::StrCat(path, path.empty() ? "" : ".", field->name());
      if (!field->is_repeated()) {
        CheckValue(message, *field, -1, field_path);
        continue;
      }
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        CheckValue(message, *field, i, absl::StrCat(field_path, "[", i, "]"));
      }
    }
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor* field = message.GetDescriptor()->field(i);
      if (field->is_required() && !reflection.HasField(message, field)) {
        Report(absl::StrCat(path, path.empty() ? "" : ".", field->name(), " is missing"));
      }
    }
  }

  // The options in `any`, which may be missing. `kind` as of KindOf().
  void CheckPlugin(const Any& any, const std::string& kind, const std::string& path) {
    const std::string type_name = PluginType(any);
    if (problems_.unknown_plugins.count(type_name) != 0) return;
    const RegistryBase* registry = nullptr;
    for (const RegistryBase* candidate : AllRegistries()) {
      const bool wanted =
          kind.empty() ? candidate->plugins().count(type_name) != 0 : candidate->kind() == kind;
      if (wanted) registry = candidate;
    }
    if (registry == nullptr) {
      Report(absl::StrCat(
          path, ": ",
          kind.empty() ? UnknownPluginMessage(type_name)
                       : absl::StrCat("this program has no ", PluralKind(kind), "; link one in")));
      return;
    }
    const absl::StatusOr<std::unique_ptr<Message>> options = registry->Unpack(any);
    if (!options.ok()) {
      Report(absl::StrCat(path, ": ", std::string(options.status().message())));
      return;
    }
    // An Any of text has passed the parser's limit, but one may also be given as bytes.
    if (depth_ == kDeepestConfig) {
      Report(absl::StrCat(path, ": plugins are nested deeper than ", kDeepestConfig));
      return;
    }
    ++depth_;
    CheckFields(**options, absl::StrCat(path, "[", type_name, "]"));
    --depth_;
  }

  void CheckStructure(const RunConfig& config) {
    // Absent plugins; CheckFields() sees the present ones.
    if (!config.data().has_dataset()) CheckPlugin(Any(), "dataset", "data.dataset");
    if (!config.has_backbone()) CheckPlugin(Any(), "backbone", "backbone");
    CheckFolds(config.data());
    CheckLosses(config);
    if (config.has_curriculum()) CheckCurriculum(config.curriculum());
  }

 private:
  void Report(std::string message) { problems_.Add(std::move(message)); }

  void CheckValue(const Message& message, const FieldDescriptor& field, int index,
                  const std::string& path) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Reflection& reflection = *message.GetReflection();
      const Message& value = field.is_repeated()
                                 ? reflection.GetRepeatedMessage(message, &field, index)
                                 : reflection.GetMessage(message, &field);
      const auto* any = dynamic_cast<const Any*>(&value);
      if (any != nullptr) {
        CheckPlugin(*any, KindOf(field), path);
      } else {
        CheckFields(value, path);
      }
      return;
    }
    const double value = NumberValue(message, field, index);
    const Range& range = field.options().GetExtension(cmerc::range);
    if (std::isfinite(value) && InRange(value, range)) return;
    std::string text;
    google::protobuf::TextFormat::PrintFieldValueToString(message, &field, index, &text);
    const std::string allowed = RangeText(range);
    Report(absl::StrCat(path, " = ", text, ", must be ", std::isfinite(value) ? "" : "finite",
                        std::isfinite(value) || allowed.empty() ? "" : " and ", allowed));
  }

  void CheckFolds(const DataConfig& data) {
    if (data.folds() == 1) {
      Report("data.folds = 1, must be 0 or >= 2: a single part would leave nothing to train on");
    } else if (data.folds() > 1 && data.fold() >= data.folds()) {
      Report(absl::StrCat("data.fold = ", data.fold(), ", must be < data.folds = ", data.folds()));
    }
    if (data.folds() > 0 && data.protocol() != DataConfig::HELD_OUT) {
      Report(
          "data.folds: only the HELD_OUT protocol validates; set data { protocol: HELD_OUT } or "
          "folds: 0");
    }
  }

  void CheckLosses(const RunConfig& config) {
    if (config.losses().empty()) {
      CheckPlugin(Any(), "loss", "losses");
      return;
    }
    bool all_zero = true;
    for (int i = 0; i < config.losses_size(); ++i) {
      const LossConfig& loss = config.losses(i);
      if (!loss.has_loss()) CheckPlugin(Any(), "loss", absl::StrCat("losses[", i, "].loss"));
      all_zero = all_zero && loss.weight() == 0;
    }
    if (all_zero) Report("losses: every weight is 0, so there is nothing to minimise");
  }

  void CheckCurriculum(const CurriculumConfig& curriculum) {
    if (!curriculum.has_scheduler()) CheckPlugin(Any(), "scheduler", "curriculum.scheduler");
    if (curriculum.has_difficulty_file() && curriculum.has_difficulty_checkpoint()) {
      Report(absl::StrCat("curriculum: difficulty_file = \"", curriculum.difficulty_file(),
                          "\" and difficulty_checkpoint = \"", curriculum.difficulty_checkpoint(),
                          "\" are both given; keep one"));
    }
  }

  Problems& problems_;
  int depth_ = 0;  // of plugins
};

}  // namespace

void Validate(const RunConfig& config, Problems* problems) {
  Validator validator(problems);
  validator.CheckFields(config, "");
  validator.CheckStructure(config);
}

std::string RangeText(const Range& range) {
  const std::string low = range.has_min()     ? absl::StrCat("[", range.min())
                          : range.has_above() ? absl::StrCat("(", range.above())
                                              : "";
  const std::string high = range.has_max()     ? absl::StrCat(range.max(), "]")
                           : range.has_below() ? absl::StrCat(range.below(), ")")
                                               : "";
  if (!low.empty() && !high.empty()) return absl::StrCat("in ", low, ", ", high);
  if (range.has_min()) return absl::StrCat(">= ", range.min());
  if (range.has_above()) return absl::StrCat("> ", range.above());
  if (range.has_max()) return absl::StrCat("<= ", range.max());
  if (range.has_below()) return absl::StrCat("< ", range.below());
  return "";
}

}  // namespace cmerc
