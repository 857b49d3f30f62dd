#include "datasets/assembly/names.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cmerc {
namespace {

// "joy" (12 utterances).
std::string Counted(const std::string& name, int64_t count) {
  return absl::StrCat("\"", absl::Utf8SafeCEscape(name), "\" (", count,
                      count == 1 ? " utterance)" : " utterances)");
}

// Returns the name without case and blanks.
std::string Folded(const std::string& name) {
  std::string folded = absl::AsciiStrToLower(name);
  absl::RemoveExtraAsciiWhitespace(&folded);
  return folded;
}

bool IsNumber(const std::string& name) {
  double ignored;
  return absl::SimpleAtod(name, &ignored) && std::isfinite(ignored);
}

// Whether files mark utterances without a label by this name.
bool MarksNoLabel(const std::string& name) {
  static const auto* marks = new std::set<std::string>{
      "",     "-1",      "-1.0",      "-",          "?",         "xxx", "nan", "none",
      "null", "unknown", "unlabeled", "unlabelled", "undefined", "n/a", "na",  "no agreement"};
  return marks->count(Folded(name)) > 0;
}

}  // namespace

std::vector<std::string> SortedNames(const std::set<std::string>& names) {
  std::vector<std::string> sorted(names.begin(), names.end());
  int64_t ignored;
  if (std::all_of(sorted.begin(), sorted.end(),
                  [&](const std::string& name) { return absl::SimpleAtoi(name, &ignored); })) {
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
      int64_t left = 0;
      int64_t right = 0;
      return absl::SimpleAtoi(a, &left) && absl::SimpleAtoi(b, &right) && left < right;
    });
  }
  return sorted;
}

std::string BaseName(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  return name.substr(0, name.rfind('.') == 0 ? std::string::npos : name.rfind('.'));
}

std::vector<std::string> ClassNameWarnings(const std::vector<std::string>& names,
                                           const std::vector<int64_t>& counts) {
  std::vector<std::string> warnings;
  std::map<std::string, std::vector<std::string>> alike;
  std::vector<std::string> numbers;
  std::vector<std::string> words;
  for (size_t c = 0; c < names.size(); ++c) {
    const std::string counted = Counted(names[c], counts[c]);
    alike[Folded(names[c])].push_back(counted);
    if (MarksNoLabel(names[c])) {
      warnings.push_back(absl::StrCat("the class ", counted,
                                      " is called as utterances without a label are, but is "
                                      "trained and scored like any other"));
    } else {
      (IsNumber(names[c]) ? numbers : words).push_back(counted);
    }
  }
  for (const auto& [folded, same] : alike) {
    if (same.size() < 2) continue;
    warnings.push_back(absl::StrCat("the classes ", absl::StrJoin(same, " and "),
                                    " differ only in case or blanks; are they one?"));
  }
  if (!numbers.empty() && !words.empty()) {
    warnings.push_back(absl::StrCat("some classes are numbers, ", absl::StrJoin(numbers, ", "),
                                    ", and some are names, ", absl::StrJoin(words, ", "),
                                    "; are they the same ones?"));
  }
  return warnings;
}

}  // namespace cmerc
