#include "config/assignments.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "config/field_names.h"
#include "config/text_parser.h"
#include "core/status.h"
#include "registry/registry.h"

namespace cmerc::config {
namespace {

using absl::string_view;
using google::protobuf::Any;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

// One assignment, as it stands in the text.
struct Assignment {
  string_view path;
  string_view value;
};

bool IsOfPath(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '[' ||
         c == ']';
}

// Takes a path and "=" from the front of `text`; "" where there are none.
string_view TakePath(string_view* text) {
  const string_view rest = absl::StripLeadingAsciiWhitespace(*text);
  size_t end = 0;
  while (end < rest.size() && IsOfPath(rest[end])) ++end;
  string_view behind = absl::StripLeadingAsciiWhitespace(rest.substr(end));
  if (end == 0 || absl::ascii_isdigit(static_cast<unsigned char>(rest[0])) || rest[0] == '[' ||
      !absl::ConsumePrefix(&behind, "=")) {
    return "";
  }
  *text = absl::StripLeadingAsciiWhitespace(behind);
  return rest.substr(0, end);
}

// Takes a value from the front of `text`: up to a space that is neither in quotes nor in brackets.
string_view TakeValue(string_view* text) {
  size_t end = 0;
  char quote = '\0';
  int brackets = 0;
  for (; end < text->size(); ++end) {
    const char c = (*text)[end];
    if (quote != '\0') {
      if (c == '\\') ++end;
      if (c == quote) quote = '\0';
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[' || c == '{') {
      ++brackets;
    } else if (c == ']' || c == '}') {
      --brackets;
    } else if (brackets <= 0 && absl::ascii_isspace(static_cast<unsigned char>(c))) {
      break;
    }
  }
  const string_view value = text->substr(0, end);  // substr() ends with the text
  *text = absl::StripLeadingAsciiWhitespace(text->substr(value.size()));
  return value;
}

// The parts of a list: between commas that are not in quotes, without brackets around all of them.
std::vector<string_view> PartsOf(string_view value) {
  if (absl::StartsWith(value, "[") && absl::EndsWith(value, "]")) {
    value = value.substr(1, value.size() - 2);
  }
  std::vector<string_view> parts;
  char quote = '\0';
  size_t begin = 0;
  for (size_t i = 0; i <= value.size(); ++i) {
    const char c = i < value.size() ? value[i] : ',';
    if (quote != '\0' && i < value.size()) {
      if (c == '\\') ++i;
      if (c == quote) quote = '\0';
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == ',') {
      const string_view part = absl::StripAsciiWhitespace(value.substr(begin, i - begin));
      if (!part.empty()) parts.push_back(part);
      begin = i + 1;
    }
  }
  return parts;
}

class Silence final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

// InvalidArgument: `value` is none of `field`.
absl::Status SetScalar(string_view value, const FieldDescriptor& field, const std::string& place,
                       Message* message) {
  const bool quoted = absl::StartsWith(value, "\"") || absl::StartsWith(value, "'");
  const bool is_string = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  const std::string text =
      is_string && !quoted ? absl::StrCat("\"", absl::CHexEscape(value), "\"") : std::string(value);
  Silence silent;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&silent);
  if (parser.ParseFieldValueFromString(text, &field, message)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(place, " = ", value, ", must be ",
                   is_string ? "a text; one with spaces needs quotes" : AllowedValues(field)));
}

// What people call plugins is compared without letter case: "gru" for "cmerc.GruOptions".
bool IsPluginCalled(const std::string& type, string_view name) {
  return absl::EqualsIgnoreCase(type, name) ||
         absl::EqualsIgnoreCase(ShortPluginName(type), ShortPluginName(std::string(name)));
}

// The registry of the plugin called `name`, and its type. InvalidArgument: there is none.
absl::Status SetPlugin(string_view name, const std::string& place, Any* any) {
  if (IsPluginCalled(PluginType(*any), name)) return absl::OkStatus();
  for (const RegistryBase* registry : AllRegistries()) {
    for (const auto& [type, plugin] : registry->plugins()) {
      if (!IsPluginCalled(type, name)) continue;
      any->set_type_url(absl::StrCat("type.googleapis.com/", type));
      any->clear_value();
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat(place, ": ", UnknownPluginMessage(std::string(name))));
}

// One step of a path: "losses[1]" is the field `losses` and the entry 1.
struct Step {
  std::string name;
  int entry = -1;
};

// InvalidArgument: a step is not of the form NAME or NAME[NUMBER].
absl::StatusOr<std::vector<Step>> StepsOf(string_view path) {
  std::vector<Step> steps;
  for (string_view part : absl::StrSplit(path, '.')) {
    Step step;
    const size_t bracket = part.find('[');
    step.name = std::string(part.substr(0, bracket));
    bool ok = !step.name.empty();
    if (bracket != string_view::npos) {
      string_view number = part.substr(bracket + 1);
      ok = ok && absl::ConsumeSuffix(&number, "]") && absl::SimpleAtoi(number, &step.entry) &&
           step.entry >= 0;
    }
    if (!ok) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", part, "\" in ", path, " is no field; want NAME or NAME[NUMBER]"));
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

// Sets a value by a path.
class Walk {
 public:
  explicit Walk(string_view value) : value_(value) {}

  // `steps` lead on from `message`, which is at `place`.
  absl::Status Set(const std::string& place, absl::Span<const Step> steps, Message* message) {
    if (auto* any = dynamic_cast<Any*>(message)) return SetInPlugin(place, steps, any);
    const Step& step = steps.front();
    const FieldDescriptor* field = FindField(*message->GetDescriptor(), step.name);
    if (field == nullptr) return NoField(step.name, *message->GetDescriptor());
    const std::string here = absl::StrCat(place, place.empty() ? "" : ".", step.name);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      return SetValue(here, *field, steps, message);
    }
    const Reflection& reflection = *message->GetReflection();
    if (field->is_repeated()) return SetInList(here, *field, steps, message);
    if (step.entry >= 0) return absl::InvalidArgumentError(absl::StrCat(here, " is no list"));
    return Enter(here, steps.subspan(1), reflection.MutableMessage(message, field));
  }

 private:
  static absl::Status NoField(const std::string& name, const google::protobuf::Descriptor& type) {
    return absl::InvalidArgumentError(UnknownField(name, type));
  }

  // Goes on in `inner`, where the path may end only if that is a plugin.
  absl::Status Enter(const std::string& place, absl::Span<const Step> steps, Message* inner) {
    if (!steps.empty()) return Set(place, steps, inner);
    if (auto* any = dynamic_cast<Any*>(inner)) return SetPlugin(value_, place, any);
    const google::protobuf::Descriptor& type = *inner->GetDescriptor();
    return absl::InvalidArgumentError(
        absl::StrCat(place, " holds fields; name one of them, as in ", place, ".",
                     type.field_count() == 0 ? "NAME" : type.field(0)->name(), "=..."));
  }

  absl::Status SetInPlugin(const std::string& place, absl::Span<const Step> steps, Any* any) {
    for (const RegistryBase* registry : AllRegistries()) {
      const absl::StatusOr<std::unique_ptr<Message>> options = registry->Unpack(*any);
      if (!options.ok()) continue;
      RETURN_IF_ERROR(Set(place, steps, options->get()));
      any->set_value((*options)->SerializePartialAsString());
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat(place, " has no plugin whose option ", steps.front().name,
                     " could be set; name one first, as in ", place, "=NAME"));
  }

  absl::Status SetValue(const std::string& place, const FieldDescriptor& field,
                        absl::Span<const Step> steps, Message* message) {
    if (steps.size() > 1 || steps.front().entry >= 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, " is ", field.is_repeated() ? "set as a whole" : "a single value",
                       "; end the path there"));
    }
    message->GetReflection()->ClearField(message, &field);
    const std::vector<string_view> parts =
        field.is_repeated() ? PartsOf(value_) : std::vector<string_view>{value_};
    for (const string_view part : parts) {
      RETURN_IF_ERROR(SetScalar(part, field, place, message));
    }
    return absl::OkStatus();
  }

  // An entry by its position, or a loss by the name of its plugin.
  absl::Status SetInList(const std::string& place, const FieldDescriptor& field,
                         absl::Span<const Step> steps, Message* message) {
    const Reflection& reflection = *message->GetReflection();
    const int size = reflection.FieldSize(*message, &field);
    if (steps.front().entry >= 0) {
      if (steps.front().entry < size) {
        return Enter(absl::StrCat(place, "[", steps.front().entry, "]"), steps.subspan(1),
                     reflection.MutableRepeatedMessage(message, &field, steps.front().entry));
      }
      return absl::InvalidArgumentError(
          absl::StrCat(place, "[", steps.front().entry, "] is not there: there are ", size));
    }
    if (field.message_type() != LossConfig::descriptor()) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, " is a list; name an entry, as in ", place, "[0]"));
    }
    std::vector<std::string> names;
    for (int i = 0; i < size; ++i) {
      auto* loss = dynamic_cast<LossConfig*>(reflection.MutableRepeatedMessage(message, &field, i));
      names.push_back(ShortPluginName(PluginType(loss->loss())));
      if (steps.size() < 2 || !IsPluginCalled(PluginType(loss->loss()), steps[1].name)) continue;
      const std::string here = absl::StrCat(place, ".", steps[1].name);
      const absl::Span<const Step> rest = steps.subspan(2);
      const bool own = rest.empty() || LossConfig::descriptor()->FindFieldByName(rest[0].name);
      return own ? Enter(here, rest, loss) : SetInPlugin(here, rest, loss->mutable_loss());
    }
    return absl::InvalidArgumentError(absl::StrCat(
        place, " has ", names.empty() ? "no entry" : absl::StrJoin(names, ", "),
        steps.size() < 2 ? "" : absl::StrCat(" and no ", steps[1].name),
        "; name one of them, as in ", place, ".", names.empty() ? "Nll" : names[0],
        ".weight=1, or add one: ", place, " { loss { [type.googleapis.com/TYPE] {} } }"));
  }

  const string_view value_;
};

}  // namespace

bool AreAssignments(string_view text) { return !TakePath(&text).empty(); }

void Assign(string_view text, RunConfig* config, Problems* problems) {
  while (!text.empty()) {
    const string_view before = text;
    const string_view path = TakePath(&text);
    if (path.empty()) {
      problems->Add(absl::StrCat("--set: expected NAME.NAME=VALUE, got ", before,
                                 "; a value with spaces needs quotes"));
      return;
    }
    const string_view value = TakeValue(&text);
    const std::string assignment = absl::StrCat("--set=", path, "=", value, ": ");
    if (value.empty()) {
      problems->Add(absl::StrCat(assignment, "expected a value behind ="));
      continue;
    }
    const absl::StatusOr<std::vector<Step>> steps = StepsOf(path);
    RunConfig changed = *config;  // a path that goes wrong leaves no messages on its way
    const absl::Status set = steps.ok() ? Walk(value).Set("", *steps, &changed) : steps.status();
    if (set.ok()) {
      *config = std::move(changed);
    } else {
      problems->Add(absl::StrCat(assignment, set.message()));
    }
  }
}

}  // namespace cmerc::config
