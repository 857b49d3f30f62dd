#include "calibration/folds.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
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

// A division into parts, as messages call it.
struct Division {
  int64_t parts;
  const char* field;          // "data.folds"
  const char* conversations;  // what is divided: "train + valid"
};

// The conversations at `sorted` in one part: a run of whole groups.
absl::StatusOr<std::vector<int64_t>> PartOfGroups(const Division& division, int64_t part,
                                                  const std::string& pattern,
                                                  absl::Span<const Conversation> conversations,
                                                  const std::vector<int64_t>& sorted) {
  ASSIGN_OR_RETURN(const std::vector<Group> groups, GroupsOf(pattern, conversations, sorted));
  if (static_cast<int64_t>(groups.size()) < division.parts) {
    std::vector<std::string> names;
    for (const Group& group : groups) names.push_back(group.name);
    return absl::InvalidArgumentError(absl::StrCat(
        division.field, " = ", division.parts, ", but data.fold_group = \"", pattern,
        "\" makes only ", groups.size(), " groups of ", division.conversations, " (",
        FirstGroups(names), "); set at most so many ", absl::StripPrefix(division.field, "data.")));
  }
  const std::vector<size_t> borders = Borders(groups, division.parts);
  std::vector<int64_t> chosen;
  for (size_t g = borders[part]; g < borders[part + 1]; ++g) {
    chosen.insert(chosen.end(), groups[g].conversations.begin(), groups[g].conversations.end());
  }
  return chosen;
}

// The conversations at `sorted` in one part: where `pattern` is empty as many as in any other.
absl::StatusOr<std::vector<int64_t>> PartOf(const Division& division, int64_t part,
                                            const std::string& pattern,
                                            absl::Span<const Conversation> conversations,
                                            const std::vector<int64_t>& sorted) {
  const auto count = static_cast<int64_t>(sorted.size());
  if (count < division.parts) {
    return absl::InvalidArgumentError(absl::StrCat(division.field, " = ", division.parts, ", but ",
                                                   division.conversations, " has only ", count,
                                                   " conversations; set at most so many"));
  }
  if (!pattern.empty()) return PartOfGroups(division, part, pattern, conversations, sorted);
  return std::vector<int64_t>(sorted.begin() + count * part / division.parts,
                              sorted.begin() + count * (part + 1) / division.parts);
}

// Conversations in ascending order of id.
std::vector<int64_t> Sorted(std::vector<int64_t> indices,
                            absl::Span<const Conversation> conversations) {
  std::stable_sort(indices.begin(), indices.end(), [&](int64_t a, int64_t b) {
    return IdBefore(conversations[a], conversations[b]);
  });
  return indices;
}

// Moves what is `chosen` of `from` to `to`; both keep their order.
void Move(const std::vector<int64_t>& chosen, size_t conversations, std::vector<int64_t>* from,
          std::vector<int64_t>* to) {
  std::vector<bool> is_chosen(conversations);
  for (const int64_t index : chosen) is_chosen[index] = true;
  std::vector<int64_t> kept;
  to->clear();
  for (const int64_t index : *from) (is_chosen[index] ? *to : kept).push_back(index);
  *from = std::move(kept);
}

// "a, b": the groups of the conversations at `indices`, which are in ascending order of id.
std::string GroupNames(const DataConfig& config, absl::Span<const Conversation> conversations,
                       absl::Span<const int64_t> indices) {
  std::vector<std::string> names;
  for (const int64_t index : indices) {
    const absl::StatusOr<std::string> name =
        FoldGroupOf(conversations[index].id, config.fold_group());
    if (name.ok() && (names.empty() || names.back() != *name)) names.push_back(*name);
  }
  return FirstGroups(names);
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
                   "; every id that is divided must begin as it says (? is any character, * any "
                   "up to the first that comes after it in the pattern)"));
}

absl::Status TakeTestFold(const DataConfig& config, absl::Span<const Conversation> conversations,
                          std::vector<int64_t>* train, std::vector<int64_t>* valid,
                          std::vector<int64_t>* test) {
  std::vector<int64_t> all = *train;
  all.insert(all.end(), valid->begin(), valid->end());
  all.insert(all.end(), test->begin(), test->end());
  all = Sorted(std::move(all), conversations);
  const Division division = {config.test_folds(), "data.test_folds", "train + valid + test"};
  ASSIGN_OR_RETURN(const std::vector<int64_t> tested,
                   PartOf(division, config.test_fold(), config.fold_group(), conversations, all));
  *train = all;
  valid->clear();
  Move(tested, conversations.size(), train, test);
  if (config.folds() > 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<int64_t> validated,
                   PartOf(division, (config.test_fold() + 1) % config.test_folds(),
                          config.fold_group(), conversations, all));
  Move(validated, conversations.size(), train, valid);
  return absl::OkStatus();
}

absl::Status TakeFold(const DataConfig& config, absl::Span<const Conversation> conversations,
                      std::vector<int64_t>* train, std::vector<int64_t>* valid) {
  std::vector<int64_t> sorted = *train;
  sorted.insert(sorted.end(), valid->begin(), valid->end());
  sorted = Sorted(std::move(sorted), conversations);
  const char* what = config.test_folds() > 0 ? "what is not tested on" : "train + valid";
  ASSIGN_OR_RETURN(const std::vector<int64_t> validated,
                   PartOf({config.folds(), "data.folds", what}, config.fold(), config.fold_group(),
                          conversations, sorted));
  *train = std::move(sorted);
  Move(validated, conversations.size(), train, valid);
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
  return absl::StrCat(fold, ": validates on the groups ", GroupNames(config, conversations, valid));
}

std::string DescribeTestFold(const DataConfig& config, absl::Span<const Conversation> conversations,
                             absl::Span<const int64_t> valid, absl::Span<const int64_t> test) {
  if (config.test_folds() == 0) return "";
  const std::string fold =
      absl::StrCat("test fold ", config.test_fold(), " of ", config.test_folds());
  if (config.fold_group().empty()) {
    return absl::StrCat(fold,
                        ", conversation by conversation: one recording session may be both trained "
                        "and tested on (data.fold_group keeps it together)");
  }
  std::string text =
      absl::StrCat(fold, ": tests on the groups ", GroupNames(config, conversations, test));
  if (config.folds() == 0) {
    absl::StrAppend(&text, ", validates on ", GroupNames(config, conversations, valid));
  }
  return text;
}

}  // namespace cmerc
