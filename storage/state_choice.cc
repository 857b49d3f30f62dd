#include "storage/state_choice.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status.h"
#include "storage/python_files.h"

namespace cmerc {
namespace {

using pickle::Kind;
using pickle::Value;

constexpr size_t kMostNamed = 8;
// torch.compile of DataParallel and the like.
constexpr int kMostWrappers = 3;

bool IsTensor(const Value& value) {
  return value.kind() == Kind::kObject &&
         (value.global_name() == kRebuildTensor || value.global_name() == kRebuildParameter);
}

// Whether a dict has tensors alone, and at least one, under names.
bool IsStateDict(const Value& value) {
  const auto is_text = [](const Value* key) { return key->kind() == Kind::kString; };
  const auto is_tensor = [](const Value* entry) { return IsTensor(*entry); };
  return value.kind() == Kind::kDict && !value.keys().empty() &&
         std::all_of(value.keys().begin(), value.keys().end(), is_text) &&
         std::all_of(value.values().begin(), value.values().end(), is_tensor);
}

// A key of a dict for messages: escaped, so that it cannot control a terminal, and short.
std::string Shown(const Value& key) {
  constexpr size_t kLongest = 60;
  if (key.kind() != Kind::kString) return pickle::Describe(key);
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(key.string().substr(0, kLongest)), "\"");
}

// "epoch" (int 3), "model" (dict of 12), ...
std::string DescribeEntries(const Value& dict) {
  std::vector<std::string> entries;
  for (size_t i = 0; i < std::min(dict.keys().size(), kMostNamed); ++i) {
    entries.push_back(
        absl::StrCat(Shown(*dict.keys()[i]), " (", pickle::Describe(*dict.values()[i]), ")"));
  }
  if (dict.keys().size() > kMostNamed) entries.emplace_back("...");
  return absl::StrJoin(entries, ", ");
}

// Which entries of `root` are state dicts.
std::vector<size_t> FindStateDicts(const Value& root) {
  std::vector<size_t> found;
  for (size_t i = 0; i < root.keys().size(); ++i) {
    if (IsStateDict(*root.values()[i])) found.push_back(i);
  }
  return found;
}

// What every name in `dict` begins with and no model of this program has.
std::string PrefixOf(const Value& dict) {
  std::string prefix;
  const auto all_begin_with = [&dict](const std::string& text) {
    return !dict.keys().empty() &&
           std::all_of(dict.keys().begin(), dict.keys().end(), [&text](const Value* key) {
             return key->kind() == Kind::kString && absl::StartsWith(key->string(), text);
           });
  };
  for (int part = 0; part < kMostWrappers; ++part) {
    for (const char* wrapper : {"module.", "_orig_mod."}) {
      const std::string longer = absl::StrCat(prefix, wrapper);
      if (all_begin_with(longer)) prefix = longer;
    }
  }
  return prefix;
}

// The keys of the entries `found` of `dict`, but for the entry `chosen`.
std::string Names(const Value& dict, const std::vector<size_t>& found, const Value* chosen) {
  std::vector<std::string> names;
  for (const size_t i : found) {
    if (dict.values()[i] != chosen) names.push_back(Shown(*dict.keys()[i]));
  }
  return absl::StrJoin(names, ", ");
}

// `key` as the source of a Python program has it; KEY where that would take escapes.
std::string InPython(const Value& key) {
  const bool plain = key.kind() == Kind::kString &&
                     std::all_of(key.string().begin(), key.string().end(), [](char c) {
                       return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
                     });
  return absl::StrCat("'", plain ? key.string() : "KEY", "'");
}

absl::Status Ambiguous(const pickle::Document& document, const std::vector<size_t>& found,
                       const std::string& path) {
  const Value& root = document.root();
  const std::string first = InPython(*root.keys()[found[0]]);
  return document.Error(
      root, absl::StrCat("there are ", found.size(), " dicts of tensors, ",
                         Names(root, found, nullptr), "; save the one that is meant, for example ",
                         SaveInPython(absl::StrCat("LOAD[", first, "]"), path)));
}

// Chooses an entry of `root`, or `root` itself, and says so in the note.
absl::Status ChooseEntry(const pickle::Document& document, const std::string& path,
                         StateChoice* choice) {
  const Value& root = document.root();
  const std::vector<size_t> found = FindStateDicts(root);
  const Value* const state_dict = root.Find("state_dict");
  if (state_dict != nullptr && state_dict->kind() == Kind::kDict) {
    choice->dict = state_dict;
    choice->note = "the weights are its entry \"state_dict\"";
    const std::string others = Names(root, found, state_dict);
    if (!others.empty()) absl::StrAppend(&choice->note, ", not ", others);
    return absl::OkStatus();
  }
  if (found.size() > 1) return Ambiguous(document, found, path);
  if (found.size() == 1) {
    choice->dict = root.values()[found[0]];
    choice->note = absl::StrCat("the weights are its entry ", Shown(*root.keys()[found[0]]));
    return absl::OkStatus();
  }
  const auto is_tensor = [](const Value* entry) { return IsTensor(*entry); };
  if (root.values().empty() || std::any_of(root.values().begin(), root.values().end(), is_tensor)) {
    return absl::OkStatus();
  }
  return document.Error(root, absl::StrCat("want a dict of tensors, found ", DescribeEntries(root),
                                           "; save the weights by themselves: "
                                           "torch.save(model.state_dict(), 'weights.pth')"));
}

}  // namespace

absl::StatusOr<StateChoice> ChooseState(const pickle::Document& document, const std::string& path,
                                        bool as_it_is) {
  StateChoice choice;
  choice.dict = &document.root();
  if (choice.dict->kind() != Kind::kDict) {
    return document.Error(*choice.dict, absl::StrCat("a state dict is a dict of tensors, found ",
                                                     pickle::Describe(*choice.dict)));
  }
  if (as_it_is) return choice;
  RETURN_IF_ERROR(ChooseEntry(document, path, &choice));
  choice.prefix = PrefixOf(*choice.dict);
  if (!choice.prefix.empty()) {
    absl::StrAppend(&choice.note, choice.note.empty() ? "" : "; ",
                    "the names of the weights begin with \"", choice.prefix,
                    "\", which is left out");
  }
  return choice;
}

}  // namespace cmerc
