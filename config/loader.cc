#include "config/loader.h"

#include <google/protobuf/text_format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "config/text_parser.h"
#include "config/validator.h"
#include "registry/registry.h"

namespace cmerc {
namespace {

using google::protobuf::Any;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kMaxProblems = 50;
// A config is a few kB; a larger file is a mistaken argument, such as a data set.
constexpr size_t kMaxBytes = 1 << 20;

absl::StatusOr<std::string> ReadConfigFile(const std::string& path) {
  if (path.empty()) {
    return absl::InvalidArgumentError(
        "no config is given; name a file, such as config/examples/quickstart.textproto");
  }
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("config ", path, " is a directory; name a file in it"));
  }
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return absl::NotFoundError(absl::StrCat("config ", path,
                                              " does not exist; check the path (config/examples/ "
                                              "has configs to start from)"));
    }
    const std::string message = absl::StrCat(
        "config ", path, " cannot be read: ", std::strerror(error), "; check its permissions");
    return error == EACCES ? absl::PermissionDeniedError(message)
                           : absl::InvalidArgumentError(message);
  }
  std::string text(kMaxBytes + 1, '\0');
  text.resize(std::fread(&text[0], 1, text.size(), file.get()));
  if (std::ferror(file.get())) {
    return absl::InvalidArgumentError(
        absl::StrCat("config ", path, " cannot be read: ", std::strerror(errno)));
  }
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "config ", path, " is larger than 1 MiB; name a text-format ExperimentConfig"));
  }
  return text;
}

void MergeOver(Message* over, Message* base);

// Same plugin: field by field. Another plugin, or one that cannot be unpacked: replaces.
void MergeAny(const Any& over, Any* base) {
  if (over.type_url().empty()) return;
  if (PluginType(over) == PluginType(*base)) {
    for (const RegistryBase* registry : AllRegistries()) {
      if (registry->plugins().count(PluginType(over)) == 0) continue;
      const auto over_options = registry->Unpack(over);
      const auto base_options = registry->Unpack(*base);
      if (!over_options.ok() || !base_options.ok()) break;
      MergeOver(over_options->get(), base_options->get());
      base->set_value((*base_options)->SerializePartialAsString());
      return;
    }
  }
  *base = over;
}

void MergeLosses(const google::protobuf::RepeatedPtrField<LossConfig>& over,
                 ExperimentConfig* base) {
  // Type of options -> the entries of `base` that have it and are not merged into yet.
  std::map<std::string, std::vector<int>> entries;
  for (int i = base->losses_size() - 1; i >= 0; --i) {
    entries[PluginType(base->losses(i).loss())].push_back(i);
  }
  for (LossConfig loss : over) {
    std::vector<int>& same_type = entries[PluginType(loss.loss())];
    if (!loss.has_loss() || same_type.empty()) {
      *base->add_losses() = std::move(loss);
    } else {
      MergeOver(&loss, base->mutable_losses(same_type.back()));
      same_type.pop_back();
    }
  }
}

// Merges `over` (used up) into `base`, of the same type. Unlike MergeFrom(), it replaces lists and
// looks inside plugins.
void MergeOver(Message* over, Message* base) {
  if (auto* any = dynamic_cast<Any*>(over)) {
    MergeAny(*any, dynamic_cast<Any*>(base));
    return;
  }
  const Reflection& reflection = *over->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*over, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated()) {
      reflection.ClearField(base, field);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      MergeOver(reflection.MutableMessage(over, field), reflection.MutableMessage(base, field));
      reflection.ClearField(over, field);
    }
  }
  base->MergeFrom(*over);
}

void MergeConfig(ExperimentConfig over, ExperimentConfig* base) {
  MergeLosses(over.losses(), base);
  over.clear_losses();
  MergeOver(&over, base);
}

// Sets the fields that have an explicit default.
void FillScalars(Message* message) {
  const Reflection& reflection = *message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    if (!field->has_default_value() || field->containing_oneof() != nullptr ||
        reflection.HasField(*message, field)) {
      continue;
    }
    std::string value;
    google::protobuf::TextFormat::PrintFieldValueToString(*message, field, -1, &value);
    google::protobuf::TextFormat::ParseFieldValueFromString(value, field, message);
  }
}

// FillScalars() for `message`, the messages that are set in it, and the options of its plugins.
void FillDefaults(Message* message) {
  if (auto* any = dynamic_cast<Any*>(message)) {
    for (const RegistryBase* registry : AllRegistries()) {
      const auto options = registry->Unpack(*any);
      if (!options.ok()) continue;
      FillDefaults(options->get());
      any->set_value((*options)->SerializePartialAsString());
      return;
    }
    return;
  }
  FillScalars(message);
  const Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      FillDefaults(reflection.MutableMessage(message, field));
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
      FillDefaults(reflection.MutableRepeatedMessage(message, field, i));
    }
  }
}

absl::Status CheckText(const std::string& text, const std::string& source,
                       const google::protobuf::Descriptor& type) {
  if (absl::StripAsciiWhitespace(text).empty()) {
    return absl::InvalidArgumentError(absl::StrCat(source, " is empty; write a text-format ",
                                                   type.name(), " (config/examples/ has some)"));
  }
  if (text.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, " is binary; name a text-format ", type.name()));
  }
  return absl::OkStatus();
}

// One line per problem, those that are indented aside.
absl::Status ToStatus(const std::string& source, const Problems& problems) {
  std::string text = absl::StrCat(source, " is not a valid config:");
  const size_t shown = std::min(problems.messages.size(), kMaxProblems);
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&text, "\n  ", absl::StrReplaceAll(problems.messages[i], {{"\n", "\n  "}}));
  }
  if (problems.messages.size() > shown) {
    absl::StrAppend(&text, "\n  and ", problems.messages.size() - shown, " more");
  }
  return absl::InvalidArgumentError(text);
}

}  // namespace

absl::StatusOr<ExperimentConfig> LoadConfig(const std::string& path,
                                            const std::vector<std::string>& overrides) {
  const absl::StatusOr<std::string> text = ReadConfigFile(path);
  if (!text.ok()) return text.status();
  return ParseConfig(*text, path, overrides);
}

absl::StatusOr<ExperimentConfig> ParseConfig(const std::string& text, const std::string& source,
                                             const std::vector<std::string>& overrides) {
  const absl::Status is_text = CheckText(text, source, *ExperimentConfig::descriptor());
  if (!is_text.ok()) return is_text;
  Problems problems;
  ExperimentConfig config;
  ParseText(text, source, &config, &problems);
  for (const std::string& fragment : overrides) {
    ExperimentConfig over;
    ParseText(fragment, absl::StrCat("--set='", absl::StrReplaceAll(fragment, {{"\n", " "}}), "'"),
              &over, &problems);
    MergeConfig(std::move(over), &config);
  }
  Validate(config, &problems);
  if (!problems.messages.empty()) return ToStatus(source, problems);
  return config;
}

absl::StatusOr<ExperimentConfig> MergeConfigs(const std::vector<ExperimentConfig>& layers,
                                              const std::string& source) {
  ExperimentConfig config;
  for (const ExperimentConfig& layer : layers) MergeConfig(layer, &config);
  Problems problems;
  Validate(config, &problems);
  if (!problems.messages.empty()) return ToStatus(source, problems);
  return config;
}

absl::Status ReadTextFile(const std::string& path, google::protobuf::Message* message) {
  const absl::StatusOr<std::string> text = ReadConfigFile(path);
  if (!text.ok()) return text.status();
  const absl::Status is_text = CheckText(*text, path, *message->GetDescriptor());
  if (!is_text.ok()) return is_text;
  Problems problems;
  ParseText(*text, path, message, &problems);
  return problems.messages.empty() ? absl::OkStatus() : ToStatus(path, problems);
}

std::string ResolvedConfig(const ExperimentConfig& config) {
  ExperimentConfig resolved = config;
  resolved.mutable_data();
  resolved.mutable_calibration();
  resolved.mutable_training();
  FillDefaults(&resolved);
  google::protobuf::TextFormat::Printer printer;
  printer.SetExpandAny(true);
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  printer.PrintToString(resolved, &text);
  return text;
}

}  // namespace cmerc
