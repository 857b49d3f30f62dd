#include "datasets/official/official_splits.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "datasets/assembly/random.h"

namespace cmerc::datasets {
namespace {

using Ids = OfficialSplits::Ids;

// A list of conversations, and what messages call it.
struct List {
  const OfficialFile& file;
  std::string name;  // "train or valid"
  Ids ids;
};

// Returns a list of a file, empty and with a problem where it cannot be read. A conversation that
// it names twice is a problem, too.
List ReadList(const OfficialFile& file, const char* name, int field, Problems* problems) {
  const std::string place =
      absl::StrCat(file.path(), ": the ", name, " list (field ", field + 1, ") ");
  absl::StatusOr<Ids> ids = file.Ids(field);
  if (!ids.ok()) {
    problems->Add(
        absl::StrCat(place, "is not a list of conversation ids: ", ids.status().message()));
    return {file, name, {}};
  }
  Ids sorted = *ids;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    problems->Add(
        absl::StrCat(place, "names conversation ", twice->ToString(), " twice, want each once"));
  }
  return {file, name, *std::move(ids)};
}

// Adds a problem for each conversation that is in two lists of one file.
void CheckDisjoint(const List& a, const List& b, Problems* problems) {
  const std::set<ConversationId> in_a(a.ids.begin(), a.ids.end());
  for (const ConversationId& id : b.ids) {
    if (in_a.count(id) == 0) continue;
    problems->Add(absl::StrCat(a.file.path(), ": conversation ", id.ToString(), " is in the ",
                               a.name, " list and in the ", b.name,
                               " list, want it in one of them"));
  }
}

// Adds a problem for each conversation of `part` that `whole`, a list of another file, lacks.
void CheckContained(const List& part, const List& whole, Problems* problems) {
  const std::set<ConversationId> in_whole(whole.ids.begin(), whole.ids.end());
  for (const ConversationId& id : part.ids) {
    if (in_whole.count(id) > 0) continue;
    problems->Add(absl::StrCat("conversation ", id.ToString(), " is in the ", part.name,
                               " list of ", part.file.path(), " but not in the ", whole.name,
                               " list of ", whole.file.path(),
                               "; give two files of one corpus and split"));
  }
}

// Adds a problem for each conversation that only one of the two lists has.
void CheckSame(const List& a, const List& b, Problems* problems) {
  CheckContained(a, b, problems);
  CheckContained(b, a, problems);
}

// The three lists of a RoBERTa file.
OfficialSplits ReadRobertaSplits(const OfficialFile& file, Problems* problems) {
  const OfficialLayout& layout = file.layout();
  List train = ReadList(file, "train", layout.train, problems);
  List valid = ReadList(file, "valid", layout.valid, problems);
  List test = ReadList(file, "test", layout.test, problems);
  CheckDisjoint(train, valid, problems);
  CheckDisjoint(train, test, problems);
  CheckDisjoint(valid, test, problems);
  OfficialSplits splits;
  splits.train_and_valid = train.ids;
  splits.train_and_valid.insert(splits.train_and_valid.end(), valid.ids.begin(), valid.ids.end());
  splits.train = std::move(train.ids);
  splits.valid = std::move(valid.ids);
  splits.test = std::move(test.ids);
  return splits;
}

// Draws the validation conversations of `ids` without replacement; both parts keep its order.
void HoldOut(const Ids& ids, const OfficialPicklesOptions& options, OfficialSplits* splits) {
  const auto total = static_cast<int64_t>(ids.size());
  const int64_t held_out = std::min<int64_t>(
      std::llround(options.valid_fraction() * static_cast<double>(total)), total - 1);
  PortableRandom random(options.valid_seed(), 0);
  int64_t missing = held_out;
  for (int64_t i = 0; i < total; ++i) {
    const bool valid = random.Below(total - i) < missing;
    if (valid) --missing;
    (valid ? splits->valid : splits->train).push_back(ids[i]);
  }
}

}  // namespace

OfficialSplits ReadSplits(const OfficialFiles& files, const OfficialPicklesOptions& options,
                          Problems* problems) {
  OfficialSplits splits;
  if (files.roberta != nullptr) splits = ReadRobertaSplits(*files.roberta, problems);
  if (files.features != nullptr) {
    const OfficialLayout& layout = files.features->layout();
    List train = ReadList(*files.features, "train", layout.train, problems);
    List test = ReadList(*files.features, "test", layout.test, problems);
    CheckDisjoint(train, test, problems);
    if (files.roberta != nullptr) {
      CheckSame(train, {*files.roberta, "train or valid", splits.train_and_valid}, problems);
      CheckSame(test, {*files.roberta, "test", splits.test}, problems);
    } else {
      HoldOut(train.ids, options, &splits);
      splits.test = std::move(test.ids);
    }
    splits.train_and_valid = std::move(train.ids);
  }
  for (const auto& [ids, purpose] : {std::pair(&splits.train, "train"), {&splits.test, "test"}}) {
    if (!ids->empty()) continue;
    problems->Add(absl::StrCat(files.main().path(), ": there is no conversation to ", purpose,
                               " on, want >= 1"));
  }
  return splits;
}

}  // namespace cmerc::datasets
