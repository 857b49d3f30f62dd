#include "tests/conformance/plugin_cases.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cctype>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "registry/range.pb.h"
#include "registry/range_check.h"

namespace cmerc::conformance {
namespace {

using google::protobuf::Any;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kSmall = 8;

std::vector<PluginCase>& ExtraCases() {
  static auto* cases = new std::vector<PluginCase>;
  return *cases;
}

// Calls `change` with the message and every singular field of the options in `any`, and of the
// messages that are set in them.
void ForEachField(Message& message,
                  const std::function<void(Message&, const FieldDescriptor&)>& change) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (field.is_repeated()) continue;
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (message.GetReflection()->HasField(message, &field)) {
        ForEachField(*message.GetReflection()->MutableMessage(&message, &field), change);
      }
    } else {
      change(message, field);
    }
  }
}

void Shrink(Message& message, const FieldDescriptor& field) {
  const bool is_size = absl::EndsWith(field.name(), "_width") ||
                       absl::EndsWith(field.name(), "_size") ||
                       absl::EndsWith(field.name(), "_dim");
  if (!is_size || !InRange(kSmall, field.options().GetExtension(cmerc::range))) return;
  const auto* reflection = message.GetReflection();
  if (reflection->HasField(message, &field)) return;
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_INT32) {
    reflection->SetInt32(&message, &field, kSmall);
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
    reflection->SetInt64(&message, &field, kSmall);
  }
}

void ClearDropout(Message& message, const FieldDescriptor& field) {
  if (!absl::StrContains(field.name(), "dropout")) return;
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    message.GetReflection()->SetDouble(&message, &field, 0);
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_FLOAT) {
    message.GetReflection()->SetFloat(&message, &field, 0);
  }
}

// The message of `type` from its text; null where the type is not linked in or the text is wrong.
std::unique_ptr<Message> Parse(const PluginCase& plugin) {
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(plugin.type);
  if (descriptor == nullptr) return nullptr;
  std::unique_ptr<Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
  if (!google::protobuf::TextFormat::ParseFromString(plugin.options, message.get())) return nullptr;
  return message;
}

absl::StatusOr<Any> Pack(const PluginCase& plugin,
                         const std::function<void(Message&, const FieldDescriptor&)>& change) {
  const std::unique_ptr<Message> message = Parse(plugin);
  if (message == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot make ", plugin.type, " {", plugin.options,
                     "}: is its .proto linked in, and are these fields of it in text format?"));
  }
  if (change) ForEachField(*message, change);
  Any any;
  any.PackFrom(*message);
  return any;
}

}  // namespace

void PrintTo(const PluginCase& plugin, std::ostream* out) {
  *out << plugin.type << " {" << plugin.options << "}";
}

std::string CaseName(const testing::TestParamInfo<PluginCase>& info) {
  std::string name = info.param.type + info.param.options;
  name.erase(std::remove_if(name.begin(), name.end(),
                            [](unsigned char c) { return std::isalnum(c) == 0; }),
             name.end());
  return name;
}

std::vector<PluginCase> CasesOf(const RegistryBase& registry) {
  std::vector<PluginCase> cases;
  for (const auto& [type, plugin] : registry.plugins()) cases.push_back({type, ""});
  for (const PluginCase& extra : ExtraCases()) {
    if (registry.plugins().count(extra.type) > 0) cases.push_back(extra);
  }
  return cases;
}

ExtraCase::ExtraCase(const std::string& type, const std::string& options) {
  ExtraCases().push_back({type, options});
}

absl::StatusOr<Any> ExactOptions(const PluginCase& plugin) { return Pack(plugin, nullptr); }

absl::StatusOr<Any> SmallOptions(const PluginCase& plugin) { return Pack(plugin, Shrink); }

Any WithoutDropout(const RegistryBase& registry, const Any& options) {
  const absl::StatusOr<std::unique_ptr<Message>> message = registry.Unpack(options);
  if (!message.ok()) return options;
  ForEachField(**message, ClearDropout);
  Any any;
  any.PackFrom(**message);
  return any;
}

bool IsOfficial(const PluginCase& plugin) {
  const std::unique_ptr<Message> message = Parse(plugin);
  if (message == nullptr) return false;
  bool official = false;
  ForEachField(*message, [&](Message& fields, const FieldDescriptor& field) {
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM ||
        field.enum_type()->full_name() != "cmerc.Semantics") {
      return;
    }
    official = official || fields.GetReflection()->GetEnum(fields, &field)->name() == "OFFICIAL";
  });
  return official;
}

void ExpectSomethingToTest(const RegistryBase& registry) {
  EXPECT_FALSE(registry.plugins().empty())
      << "no " << registry.kind() << " is linked into this test; add its cmerc_plugin() to deps";
  for (const PluginCase& extra : ExtraCases()) {
    const auto& all = AllRegistries();
    EXPECT_TRUE(
        std::any_of(all.begin(), all.end(),
                    [&](const RegistryBase* one) { return one->plugins().count(extra.type) > 0; }))
        << "the extra case " << testing::PrintToString(extra) << " is of no linked plugin";
  }
}

}  // namespace cmerc::conformance
