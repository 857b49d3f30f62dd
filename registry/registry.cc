#include "registry/registry.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "registry/nearest_name.h"
#include "registry/range_check.h"

namespace cmerc {
namespace {

std::vector<const RegistryBase*>& MutableRegistries() {
  static auto* registries = new std::vector<const RegistryBase*>;
  return *registries;
}

std::string ListPlugins(const RegistryBase& registry) {
  if (registry.plugins().empty()) return "none";
  return absl::StrJoin(registry.plugins(), ", ",
                       [](std::string* out, const auto& plugin) { out->append(plugin.first); });
}

}  // namespace

const std::vector<const RegistryBase*>& AllRegistries() { return MutableRegistries(); }

RegistryBase::RegistryBase(std::string kind) : kind_(std::move(kind)) {
  std::vector<const RegistryBase*>& all = MutableRegistries();
  // By kind and not in order of creation, which is up to the linker.
  const auto place = std::find_if(
      all.begin(), all.end(), [this](const RegistryBase* other) { return other->kind_ > kind_; });
  all.insert(place, this);
}

RegistryBase::~RegistryBase() {
  std::vector<const RegistryBase*>& all = MutableRegistries();
  all.erase(std::remove(all.begin(), all.end(), this), all.end());
}

void RegistryBase::AddPlugin(const google::protobuf::Message& prototype, const char* file,
                             int line) {
  const google::protobuf::Descriptor* options = prototype.GetDescriptor();
  const auto [it, added] = plugins_.emplace(options->full_name(), Plugin{options, file, line});
  if (added) return;
  std::cerr << "two plugins are registered as " << kind_ << " " << options->full_name() << ": "
            << it->second.file << ":" << it->second.line << " and " << file << ":" << line
            << "; remove one from the build\n";
  std::abort();
}

absl::StatusOr<std::unique_ptr<google::protobuf::Message>> RegistryBase::Unpack(
    const google::protobuf::Any& any) const {
  const std::string type_name = PluginType(any);
  if (type_name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "no ", kind_, " is given; write [type.googleapis.com/TYPE] { } with a TYPE of the linked ",
        PluralKind(kind_), ": ", ListPlugins(*this)));
  }
  const auto it = plugins_.find(type_name);
  if (it == plugins_.end()) {
    for (const RegistryBase* other : AllRegistries()) {
      if (other->plugins().count(type_name) == 0) continue;
      return absl::InvalidArgumentError(absl::StrCat(type_name, " is a ", other->kind(), ", not a ",
                                                     kind_, "; linked ", PluralKind(kind_), ": ",
                                                     ListPlugins(*this)));
    }
    return absl::NotFoundError(UnknownPluginMessage(type_name));
  }
  std::unique_ptr<google::protobuf::Message> options(
      google::protobuf::MessageFactory::generated_factory()
          ->GetPrototype(it->second.options)
          ->New());
  if (!options->ParsePartialFromString(any.value())) {
    return absl::InvalidArgumentError(absl::StrCat("the bytes of a ", type_name, " do not parse"));
  }
  return options;
}

absl::StatusOr<std::unique_ptr<google::protobuf::Message>> RegistryBase::UnpackChecked(
    const google::protobuf::Any& any) const {
  absl::StatusOr<std::unique_ptr<google::protobuf::Message>> options = Unpack(any);
  if (!options.ok()) return options;
  const absl::Status in_range = CheckRanges(**options);
  if (!in_range.ok()) return in_range;
  return options;
}

std::string UnknownPluginMessage(const std::string& type_name) {
  // Short names are compared: "cmerc." and "Options" would make any two names look alike.
  std::map<std::string, std::string> full_names;
  std::vector<std::string> short_names;
  std::vector<std::string> lines;
  for (const RegistryBase* registry : AllRegistries()) {
    for (const auto& [name, plugin] : registry->plugins()) {
      short_names.push_back(ShortPluginName(name));
      full_names[short_names.back()] = name;
    }
    lines.push_back(
        absl::StrCat("linked ", PluralKind(registry->kind()), ": ", ListPlugins(*registry)));
  }
  lines.push_back("a plugin is linked in by its entry in the cmerc_plugins() list of a BUILD file");
  const std::string nearest = NearestName(ShortPluginName(type_name), short_names);
  return absl::StrCat(
      "no plugin ", type_name, " is linked into this program",
      nearest.empty() ? "" : absl::StrCat("; did you mean ", full_names[nearest], "?"), "\n  ",
      absl::StrJoin(lines, "\n  "));
}

std::string PluginType(const google::protobuf::Any& any) {
  std::string type_name;
  google::protobuf::Any::ParseAnyTypeUrl(any.type_url(), &type_name);
  return type_name;
}

std::string ShortPluginName(const std::string& type_name) {
  absl::string_view name = type_name;
  const size_t dot = name.rfind('.');
  if (dot != absl::string_view::npos) name.remove_prefix(dot + 1);
  if (!absl::ConsumeSuffix(&name, "Options")) absl::ConsumeSuffix(&name, "Option");
  return std::string(name);
}

std::string PluralKind(const std::string& kind) {
  return absl::StrCat(kind, absl::EndsWith(kind, "s") ? "es" : "s");
}

}  // namespace cmerc
