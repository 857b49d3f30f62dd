#include "bin/flags.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "bin/habits.h"
#include "core/home.h"
#include "core/status.h"
#include "registry/nearest_name.h"

namespace cmerc {

namespace {

using Specs = std::vector<FlagSpec>;

// Whether a word is one more value of --set: NAME=VALUE, with dots and brackets in the name.
bool IsAssignment(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) return false;
  return std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(equals), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("_.[]", c);
  });
}

// What to say of --`name`, which is none of `specs`; `value` is what was given for it.
std::string UnknownFlag(const std::string& name, const std::string& value, const Specs& specs) {
  std::vector<std::string> names;
  for (const FlagSpec& spec : specs) names.push_back(spec.name);
  const std::string list = names.empty() ? "this command has no flags"
                                         : absl::StrCat("flags: --", absl::StrJoin(names, ", --"));
  const bool has_set = std::find(names.begin(), names.end(), "set") != names.end();
  const std::string option = has_set ? SetInPlaceOf(name, value) : "";
  const std::string nearest = option.empty() ? NearestName(name, names) : "";
  return absl::StrCat(
      "unknown flag --", name, "; ",
      option.empty() ? "" : absl::StrCat("a config says that; write ", option, "; "),
      nearest.empty() ? "" : absl::StrCat("did you mean --", nearest, "? "), list);
}

}  // namespace

absl::StatusOr<Flags> Flags::Parse(const std::vector<std::string>& args,
                                   const std::vector<FlagSpec>& specs, size_t max_words) {
  Flags flags;
  for (size_t i = 0; i < args.size(); ++i) {
    if (!absl::StartsWith(args[i], "--")) {
      if (flags.words_.size() == max_words) {
        return absl::InvalidArgumentError(
            absl::StrCat("unexpected argument \"", args[i], "\"; flags look like --name=value"));
      }
      ASSIGN_OR_RETURN(std::string word, ExpandHome(args[i]));
      flags.words_.push_back(std::move(word));
      continue;
    }
    const size_t equals = args[i].find('=');
    const bool has_value = equals != std::string::npos;
    const std::string name = args[i].substr(2, has_value ? equals - 2 : std::string::npos);
    const auto spec =
        std::find_if(specs.begin(), specs.end(), [&](const FlagSpec& s) { return s.name == name; });
    const bool next_is_value = i + 1 < args.size() && !absl::StartsWith(args[i + 1], "--");
    if (spec == specs.end()) {
      const std::string value = has_value       ? args[i].substr(equals + 1)
                                : next_is_value ? args[i + 1]
                                                : "";
      return absl::InvalidArgumentError(UnknownFlag(name, value, specs));
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
    } else if (spec->kind != FlagSpec::Kind::kSwitch && next_is_value) {
      value = args[++i];
    }
    if (spec->kind != FlagSpec::Kind::kSwitch && value.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, " needs a value: --", name, "=", spec->value));
    }
    if (spec->value == "FILE" || spec->value == "DIR") {
      ASSIGN_OR_RETURN(value, Annotate(ExpandHome(value), absl::StrCat("--", name)));
    }
    flags.values_[name].push_back(value);
    if (spec->kind != FlagSpec::Kind::kRepeatedValue) continue;
    while (i + 1 < args.size() && IsAssignment(args[i + 1])) {
      flags.values_[name].push_back(args[++i]);
    }
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
