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
List ReadList(const OfficialFile& file, const char* name, const std::string& field,
              Problems* problems) {
  if (field.empty()) return {file, name, {}};
  const std::string place =
      absl::StrCat(file.path(), ": the ", name, " list (", file.NameOf(field), ") ");
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

// The lists of a file; valid is empty where it has none.
struct Lists {
  List train;
  List valid;
  List test;

  // Returns the ids of train, then those of valid.
  Ids TrainAndValid() const {
    Ids ids = train.ids;
    ids.insert(ids.end(), valid.ids.begin(), valid.ids.end());
    return ids;
  }
};

Lists ReadLists(const OfficialFile& file, Problems* problems) {
  const OfficialLayout& layout = file.layout();
  Lists lists = {ReadList(file, "train", layout.train, problems),
                 ReadList(file, "valid", layout.valid, problems),
                 ReadList(file, "test", layout.test, problems)};
  CheckDisjoint(lists.train, lists.valid, problems);
  CheckDisjoint(lists.train, lists.test, problems);
  CheckDisjoint(lists.valid, lists.test, problems);
  return lists;
}

// The splits of a file that names the validation conversations.
OfficialSplits SplitsOf(Lists lists) {
  OfficialSplits splits;
  splits.train_and_valid = lists.TrainAndValid();
  splits.train = std::move(lists.train.ids);
  splits.valid = std::move(lists.valid.ids);
  splits.test = std::move(lists.test.ids);
  return splits;
}

// The splits of a features file beside a RoBERTa file. The official dataloader.py takes the ids of
// features, in its order, and ignores roberta's.
OfficialSplits SplitsOfBoth(Lists features, Lists roberta, Problems* problems) {
  CheckSame(features.test, roberta.test, problems);
  if (!features.valid.ids.empty()) {
    CheckSame(features.train, roberta.train, problems);
    CheckSame(features.valid, roberta.valid, problems);
    return SplitsOf(std::move(features));
  }
  CheckSame(features.train, {roberta.train.file, "train or valid", roberta.TrainAndValid()},
            problems);
  OfficialSplits splits;
  splits.train = std::move(roberta.train.ids);
  splits.valid = std::move(roberta.valid.ids);
  splits.train_and_valid = std::move(features.train.ids);
  splits.test = std::move(features.test.ids);
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
  if (files.features == nullptr) {
    splits = SplitsOf(ReadLists(*files.roberta, problems));
  } else if (files.roberta != nullptr) {
    Lists features = ReadLists(*files.features, problems);
    splits = SplitsOfBoth(std::move(features), ReadLists(*files.roberta, problems), problems);
  } else {
    Lists lists = ReadLists(*files.features, problems);
    const bool has_valid = !files.features->layout().valid.empty();
    if (has_valid) {
      splits = SplitsOf(std::move(lists));
    } else {
      HoldOut(lists.train.ids, options, &splits);
      splits.test = std::move(lists.test.ids);
      splits.train_and_valid = std::move(lists.train.ids);
    }
  }
  if (splits.train.empty()) {
    problems->Add(
        absl::StrCat(files.main().path(), ": there is no conversation to train on, want >= 1"));
  }
  return splits;
}

std::string NamedByNoSplit(const OfficialFiles& files, const OfficialSplits& splits) {
  std::set<ConversationId> named(splits.train_and_valid.begin(), splits.train_and_valid.end());
  named.insert(splits.test.begin(), splits.test.end());
  const Ids all = files.main().AllIds();
  Ids others;
  for (const ConversationId& id : all) {
    if (named.count(id) == 0) others.push_back(id);
  }
  if (others.empty()) return "";
  return absl::StrCat(files.main().path(), ": ", others.size(), " of its ", all.size(),
                      " conversations are in no split and are not used: ", SomeIds(others));
}

}  // namespace cmerc::datasets
