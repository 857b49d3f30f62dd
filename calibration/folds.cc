#include "calibration/folds.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status.h"

namespace cmerc {
namespace {

constexpr size_t kMostGroupsNamed = 8;

// Whether `a` comes before `b`: ids that are numbers by their value, others as text.
bool IdBefore(const Conversation& a, const Conversation& b) {
  int64_t x = 0, y = 0;
  if (a.numeric_id && b.numeric_id && absl::SimpleAtoi(a.id, &x) && absl::SimpleAtoi(b.id, &y)) {
    return x < y;
  }
  return a.id < b.id;
}

struct Group {
  std::string name;
  std::vector<int64_t> conversations;  // in ascending order of id
};

// The groups of `conversations` at `sorted`, in the order of their first ids.
absl::StatusOr<std::vector<Group>> GroupsOf(const std::string& pattern,
                                            absl::Span<const Conversation> conversations,
                                            const std::vector<int64_t>& sorted) {
  std::vector<Group> groups;
  std::map<std::string, size_t> places;
  for (const int64_t index : sorted) {
    ASSIGN_OR_RETURN(const std::string name, FoldGroupOf(conversations[index].id, pattern));
    const auto [place, is_new] = places.emplace(name, groups.size());
    if (is_new) groups.push_back({name, {}});
    groups[place->second].conversations.push_back(index);
  }
  return groups;
}

// "a, b, c and 7 more".
std::string FirstGroups(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kMostGroupsNamed);
  std::string text = absl::StrJoin(names.begin(), names.begin() + shown, ", ");
  if (names.size() > shown) absl::StrAppend(&text, " and ", names.size() - shown, " more");
  return text;
}

// Where each of `folds` parts of the groups begins, and where the last one ends: parts of at least
// one group whose borders are as near as whole groups allow to those of equal parts.
std::vector<size_t> Borders(const std::vector<Group>& groups, int64_t folds) {
  std::vector<int64_t> before = {0};  // conversations before each group, and in all
  for (const Group& group : groups) {
    before.push_back(before.back() + static_cast<int64_t>(group.conversations.size()));
  }
  const int64_t total = before.back();
  std::vector<size_t> borders = {0};
  for (int64_t part = 1; part < folds; ++part) {
    const auto away = [&](size_t group) { return std::abs(before[group] * folds - total * part); };
    const size_t last = groups.size() - static_cast<size_t>(folds - part);
    size_t best = borders.back() + 1;
    for (size_t group = best; group <= last; ++group) {
      if (away(group) < away(best)) best = group;
    }
    borders.push_back(best);
  }
  borders.push_back(groups.size());
  return borders;
}

// The conversations at `sorted` that the fold validates on: a run of whole groups.
absl::StatusOr<std::vector<int64_t>> ValidatedGroups(const DataConfig& config,
                                                     absl::Span<const Conversation> conversations,
                                                     const std::vector<int64_t>& sorted) {
  ASSIGN_OR_RETURN(const std::vector<Group> groups,
                   GroupsOf(config.fold_group(), conversations, sorted));
  if (static_cast<int64_t>(groups.size()) < config.folds()) {
    std::vector<std::string> names;
    for (const Group& group : groups) names.push_back(group.name);
    return absl::InvalidArgumentError(absl::StrCat(
        "data.folds = ", config.folds(), ", but data.fold_group = \"", config.fold_group(),
        "\" makes only ", groups.size(), " groups of train + valid (", FirstGroups(names),
        "); set at most so many folds"));
  }
  const std::vector<size_t> borders = Borders(groups, config.folds());
  std::vector<int64_t> valid;
  for (size_t g = borders[config.fold()]; g < borders[config.fold() + 1]; ++g) {
    valid.insert(valid.end(), groups[g].conversations.begin(), groups[g].conversations.end());
  }
  return valid;
}

// The conversations at `sorted` that the fold validates on: as many as in any other fold.
std::vector<int64_t> ValidatedConversations(const DataConfig& config,
                                            const std::vector<int64_t>& sorted) {
  const auto count = static_cast<int64_t>(sorted.size());
  return {sorted.begin() + count * config.fold() / config.folds(),
          sorted.begin() + count * (config.fold() + 1) / config.folds()};
}

bool IsWithinCharacter(char byte) { return (byte & 0xC0) == 0x80; }  // of UTF-8

}  // namespace

absl::StatusOr<std::string> FoldGroupOf(absl::string_view id, absl::string_view pattern) {
  size_t end = 0;
  bool fits = true;
  for (size_t i = 0; i < pattern.size() && fits; ++i) {
    if (pattern[i] == '*') {
      end = i + 1 < pattern.size() ? id.find(pattern[i + 1], end) : id.size();
      fits = end != absl::string_view::npos;
    } else if (pattern[i] == '?') {
      fits = end < id.size();
      do ++end;
      while (end < id.size() && IsWithinCharacter(id[end]));
    } else {
      fits = end < id.size() && id[end] == pattern[i];
      ++end;
    }
  }
  if (fits) return std::string(id.substr(0, end));
  return absl::InvalidArgumentError(
      absl::StrCat("data.fold_group = \"", pattern, "\" does not fit the id of conversation ", id,
                   "; every id of train + valid must begin as it says (? is any character, * any "
                   "up to the first that comes after it in the pattern)"));
}

absl::Status TakeFold(const DataConfig& config, absl::Span<const Conversation> conversations,
                      std::vector<int64_t>* train, std::vector<int64_t>* valid) {
  std::vector<int64_t> sorted = *train;
  sorted.insert(sorted.end(), valid->begin(), valid->end());
  if (static_cast<int64_t>(sorted.size()) < config.folds()) {
    return absl::InvalidArgumentError(absl::StrCat("data.folds = ", config.folds(),
                                                   ", but train + valid has only ", sorted.size(),
                                                   " conversations; set at most so many"));
  }
  std::stable_sort(sorted.begin(), sorted.end(), [&](int64_t a, int64_t b) {
    return IdBefore(conversations[a], conversations[b]);
  });
  std::vector<int64_t> validated;
  if (config.fold_group().empty()) {
    validated = ValidatedConversations(config, sorted);
  } else {
    ASSIGN_OR_RETURN(validated, ValidatedGroups(config, conversations, sorted));
  }
  std::vector<bool> is_validated(conversations.size());
  for (const int64_t index : validated) is_validated[index] = true;
  train->clear();
  valid->clear();
  for (const int64_t index : sorted) (is_validated[index] ? valid : train)->push_back(index);
  return absl::OkStatus();
}

std::string DescribeFold(const DataConfig& config, absl::Span<const Conversation> conversations,
                         absl::Span<const int64_t> valid) {
  if (config.folds() == 0) return "";
  const std::string fold = absl::StrCat("fold ", config.fold(), " of ", config.folds());
  if (config.fold_group().empty()) {
    return absl::StrCat(fold,
                        ", conversation by conversation: one recording session may be both trained "
                        "and validated on (data.fold_group keeps it together)");
  }
  std::vector<std::string> names;
  for (const int64_t index : valid) {
    const absl::StatusOr<std::string> name =
        FoldGroupOf(conversations[index].id, config.fold_group());
    if (name.ok() && (names.empty() || names.back() != *name)) names.push_back(*name);
  }
  return absl::StrCat(fold, ": validates on the groups ", FirstGroups(names));
}

}  // namespace cmerc
