#include "config/loader.h"

#include <fcntl.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/text_format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "config/assignments.h"
#include "config/paths.h"
#include "config/text_parser.h"
#include "config/validator.h"
#include "core/problems.h"
#include "core/status.h"
#include "registry/registry.h"

namespace cmerc {
namespace {

using config::AreAssignments;
using config::Assign;
using config::ExpandHomes;
using config::Findings;
using config::kDeepestConfig;
using config::ParseText;
using config::Validate;
using google::protobuf::Any;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// A config is a few kB; a larger file is a mistaken argument, such as a data set.
constexpr size_t kMaxBytes = 1 << 20;

// So many problems are told.
constexpr size_t kMostProblems = 50;

absl::StatusOr<std::string> ReadConfigFile(const std::string& path) {
  if (path.empty()) {
    return absl::InvalidArgumentError(
        "no config is given; name a file, such as config/examples/quickstart.textproto");
  }
  // O_NONBLOCK: a named pipe into which nobody writes is empty, and not waited for.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return absl::NotFoundError(absl::StrCat("config ", path, " does not exist; check the path"));
    }
    const std::string message = absl::StrCat(
        "config ", path, " cannot be read: ", std::strerror(error), "; check its permissions");
    return error == EACCES ? absl::PermissionDeniedError(message)
                           : absl::InvalidArgumentError(message);
  }
  const absl::Cleanup close_file = [file] { close(file); };
  struct stat info;
  if (fstat(file, &info) == 0 && S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("config ", path, " is a directory; name a file in it"));
  }
  // A process that does write into a pipe, as in the shell's <(...), may take its time.
  fcntl(file, F_SETFL, fcntl(file, F_GETFL) & ~O_NONBLOCK);
  std::string text(kMaxBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = read(file, &text[size], text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("config ", path, " cannot be read: ", std::strerror(errno)));
    }
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  text.resize(size);
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("config ", path, " is larger than 1 MiB; name a text-format RunConfig"));
  }
  return text;
}

void MergeOver(Message* over, Message* base, int depth);

// Merges the options of the same plugin field by field. Those of another plugin, or what cannot be
// unpacked or is too deep, replace what was there. `depth` is the number of plugins around this
// one.
void MergeAny(const Any& over, Any* base, int depth) {
  if (over.type_url().empty()) return;
  if (depth < kDeepestConfig && PluginType(over) == PluginType(*base)) {
    for (const RegistryBase* registry : AllRegistries()) {
      if (registry->plugins().count(PluginType(over)) == 0) continue;
      const auto over_options = registry->Unpack(over);
      const auto base_options = registry->Unpack(*base);
      if (!over_options.ok() || !base_options.ok()) break;
      MergeOver(over_options->get(), base_options->get(), depth + 1);
      base->set_value((*base_options)->SerializePartialAsString());
      return;
    }
  }
  *base = over;
}

void MergeLosses(const google::protobuf::RepeatedPtrField<LossConfig>& over, RunConfig* base) {
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
      MergeOver(&loss, base->mutable_losses(same_type.back()), 0);
      same_type.pop_back();
    }
  }
}

// Merges `over` (used up) into `base`, of the same type. Unlike MergeFrom(), it replaces lists and
// looks inside plugins.
void MergeOver(Message* over, Message* base, int depth) {
  if (auto* any = dynamic_cast<Any*>(over)) {
    MergeAny(*any, dynamic_cast<Any*>(base), depth);
    return;
  }
  const Reflection& reflection = *over->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*over, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated()) {
      reflection.ClearField(base, field);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      MergeOver(reflection.MutableMessage(over, field), reflection.MutableMessage(base, field),
                depth);
      reflection.ClearField(over, field);
    }
  }
  base->MergeFrom(*over);
}

void MergeConfig(RunConfig over, RunConfig* base) {
  MergeLosses(over.losses(), base);
  over.clear_losses();
  MergeOver(&over, base, 0);
}

// Sets every unset field that has an explicit default to it.
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

// Calls FillScalars() for `message`, the messages that are set in it, and the options of its
// plugins. `depth` is the number of plugins around it. Options that no plugin takes, or that lie
// too deep, lose their value, since the printer would look into them however deep they go.
void FillDefaults(Message* message, int depth) {
  if (auto* any = dynamic_cast<Any*>(message)) {
    for (const RegistryBase* registry : AllRegistries()) {
      if (depth == kDeepestConfig) break;
      const auto options = registry->Unpack(*any);
      if (!options.ok()) continue;
      FillDefaults(options->get(), depth + 1);
      any->set_value((*options)->SerializePartialAsString());
      return;
    }
    any->clear_value();
    return;
  }
  FillScalars(message);
  const Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      FillDefaults(reflection.MutableMessage(message, field), depth);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
      FillDefaults(reflection.MutableRepeatedMessage(message, field, i), depth);
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

// OK if there are no problems, else one line for each; further lines of a problem are indented.
absl::Status ToStatus(const std::string& source, const Problems& problems) {
  if (problems.empty()) return absl::OkStatus();
  std::string text = absl::StrCat(source, " is not a valid config:");
  for (const std::string& problem : problems.in_words()) {
    absl::StrAppend(&text, "\n  ", absl::StrReplaceAll(problem, {{"\n", "\n  "}}));
  }
  if (problems.more() > 0) absl::StrAppend(&text, "\n  and ", problems.more(), " more");
  return absl::InvalidArgumentError(text);
}

// Merges each fragment of --set over `config`, in order.
void MergeOverrides(const std::vector<std::string>& overrides, RunConfig* config,
                    Problems* problems, Findings* findings) {
  for (const std::string& fragment : overrides) {
    if (AreAssignments(fragment)) {
      Assign(fragment, config, problems);
      continue;
    }
    RunConfig over;
    ParseText(fragment, absl::StrCat("--set='", absl::StrReplaceAll(fragment, {{"\n", " "}}), "'"),
              &over, problems, findings);
    MergeConfig(std::move(over), config);
  }
}

}  // namespace

absl::StatusOr<RunConfig> LoadConfig(const std::string& path,
                                     const std::vector<std::string>& overrides,
                                     std::vector<std::string>* warnings) {
  ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(path));
  return ParseConfig(text, path, overrides, warnings);
}

absl::StatusOr<RunConfig> ParseConfig(const std::string& text, const std::string& source,
                                      const std::vector<std::string>& overrides,
                                      std::vector<std::string>* warnings) {
  RETURN_IF_ERROR(CheckText(text, source, *RunConfig::descriptor()));
  Problems problems(kMostProblems);
  Findings findings;
  RunConfig config;
  ParseText(text, source, &config, &problems, &findings);
  MergeOverrides(overrides, &config, &problems, &findings);
  ExpandHomes(&config, &problems);
  Validate(config, findings.unknown_plugins, &problems);
  RETURN_IF_ERROR(ToStatus(source, problems));
  if (warnings != nullptr) *warnings = std::move(findings.warnings);
  return config;
}

absl::StatusOr<RunConfig> MergeConfigs(const std::vector<RunConfig>& layers,
                                       const std::string& source,
                                       const std::vector<std::string>& overrides,
                                       std::vector<std::string>* warnings) {
  RunConfig config;
  for (const RunConfig& layer : layers) MergeConfig(layer, &config);
  Problems problems(kMostProblems);
  Findings findings;
  MergeOverrides(overrides, &config, &problems, &findings);
  ExpandHomes(&config, &problems);
  Validate(config, findings.unknown_plugins, &problems);
  RETURN_IF_ERROR(ToStatus(source, problems));
  if (warnings != nullptr) *warnings = std::move(findings.warnings);
  return config;
}

absl::Status ReadText(const std::string& text, const std::string& source, Message* message,
                      std::vector<std::string>* warnings) {
  RETURN_IF_ERROR(CheckText(text, source, *message->GetDescriptor()));
  Problems problems(kMostProblems);
  Findings findings;
  ParseText(text, source, message, &problems, &findings);
  ExpandHomes(message, &problems);
  if (warnings != nullptr) *warnings = std::move(findings.warnings);
  return ToStatus(source, problems);
}

absl::Status ReadTextFile(const std::string& path, Message* message,
                          std::vector<std::string>* warnings) {
  ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(path));
  return ReadText(text, path, message, warnings);
}

RunConfig WithDefaults(RunConfig config) {
  config.mutable_data();
  config.mutable_calibration();
  config.mutable_training();
  FillDefaults(&config, 0);
  return config;
}

std::string ResolvedConfig(const RunConfig& config) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetExpandAny(true);
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  printer.PrintToString(WithDefaults(config), &text);
  return text;
}

}  // namespace cmerc
