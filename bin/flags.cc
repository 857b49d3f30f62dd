#include "bin/flags.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "registry/nearest_name.h"

namespace cmerc {

absl::StatusOr<Flags> Flags::Parse(const std::vector<std::string>& args,
                                   const std::vector<FlagSpec>& specs, size_t max_words) {
  Flags flags;
  for (size_t i = 0; i < args.size(); ++i) {
    if (!absl::StartsWith(args[i], "--")) {
      if (flags.words_.size() == max_words) {
        return absl::InvalidArgumentError(
            absl::StrCat("unexpected argument \"", args[i], "\"; flags look like --name=value"));
      }
      flags.words_.push_back(args[i]);
      continue;
    }
    const size_t equals = args[i].find('=');
    const bool has_value = equals != std::string::npos;
    const std::string name = args[i].substr(2, has_value ? equals - 2 : std::string::npos);
    const auto spec =
        std::find_if(specs.begin(), specs.end(), [&](const FlagSpec& s) { return s.name == name; });
    if (spec == specs.end()) {
      std::vector<std::string> names;
      for (const FlagSpec& s : specs) names.push_back(s.name);
      const std::string nearest = NearestName(name, names);
      return absl::InvalidArgumentError(
          absl::StrCat("unknown flag --", name, "; ",
                       nearest.empty() ? "" : absl::StrCat("did you mean --", nearest, "? "),
                       names.empty() ? "this command has no flags"
                                     : absl::StrCat("flags: --", absl::StrJoin(names, ", --"))));
    }
    if (spec->kind == FlagSpec::Kind::kSwitch && has_value) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " takes no value"));
    }
    if (spec->kind != FlagSpec::Kind::kRepeatedValue && flags.has(name)) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " is given twice"));
    }
    std::string value;
    if (has_value) {
      value = args[i].substr(equals + 1);
    } else if (spec->kind != FlagSpec::Kind::kSwitch && i + 1 < args.size() &&
               !absl::StartsWith(args[i + 1], "--")) {
      value = args[++i];
    }
    if (spec->kind != FlagSpec::Kind::kSwitch && value.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, " needs a value: --", name, "=", spec->value));
    }
    flags.values_[name].push_back(value);
  }
  return flags;
}

std::string Flags::Get(const std::string& name) const {
  const auto it = values_.find(name);
  return it == values_.end() ? "" : it->second.front();
}

std::vector<std::string> Flags::All(const std::string& name) const {
  const auto it = values_.find(name);
  return it == values_.end() ? std::vector<std::string>{} : it->second;
}

std::string FlagHelp(const std::vector<FlagSpec>& specs) {
  std::string text;
  for (const FlagSpec& spec : specs) {
    const std::string flag =
        spec.value.empty() ? spec.name : absl::StrCat(spec.name, "=", spec.value);
    absl::StrAppend(&text, absl::StrFormat("  --%-20s %s\n", flag, spec.help));
  }
  return text;
}

}  // namespace cmerc
