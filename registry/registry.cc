#include "registry/registry.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace cmerc {
namespace {

std::vector<const RegistryBase*>& MutableRegistries() {
  static auto* registries = new std::vector<const RegistryBase*>;
  return *registries;
}

// Levenshtein distance, letter case ignored.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = absl::ascii_tolower(a[i - 1]) == absl::ascii_tolower(b[j - 1]);
      const size_t substitute = diagonal + (same ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

std::string ListPlugins(const RegistryBase& registry) {
  return absl::StrJoin(registry.plugins(), ", ",
                       [](std::string* out, const auto& plugin) { out->append(plugin.first); });
}

// "backbone" -> "backbones", "loss" -> "losses".
std::string Plural(const std::string& kind) {
  return absl::StrCat(kind, kind.back() == 's' ? "es" : "s");
}

}  // namespace

const std::vector<const RegistryBase*>& AllRegistries() { return MutableRegistries(); }

RegistryBase::RegistryBase(std::string kind) : kind_(std::move(kind)) {
  MutableRegistries().push_back(this);
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
  std::string type_name;
  if (!google::protobuf::Any::ParseAnyTypeUrl(any.type_url(), &type_name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("no ", kind_, " is given; linked ", Plural(kind_), ": ", ListPlugins(*this)));
  }
  const auto it = plugins_.find(type_name);
  if (it == plugins_.end()) {
    for (const RegistryBase* other : AllRegistries()) {
      if (other->plugins().count(type_name) == 0) continue;
      return absl::InvalidArgumentError(absl::StrCat(type_name, " is a ", other->kind(),
                                                     ", not a ", kind_, "; linked ", Plural(kind_),
                                                     ": ", ListPlugins(*this)));
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

std::string UnknownPluginMessage(const std::string& type_name) {
  std::string nearest;
  size_t best = std::max<size_t>(3, type_name.size() / 2);
  std::vector<std::string> lists;
  for (const RegistryBase* registry : AllRegistries()) {
    for (const auto& [name, plugin] : registry->plugins()) {
      const size_t distance = EditDistance(type_name, name);
      if (distance < best) {
        best = distance;
        nearest = name;
      }
    }
    lists.push_back(absl::StrCat("linked ", Plural(registry->kind()), ": ", ListPlugins(*registry)));
  }
  return absl::StrCat("no plugin ", type_name, " is linked into this program",
                      nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?"), "\n  ",
                      absl::StrJoin(lists, "\n  "));
}

}  // namespace cmerc
