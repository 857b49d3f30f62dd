#include "core/speakers.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cmerc {
namespace {

// The index that the data set has for this name; -1: none.
int64_t KnownIndex(const std::string& name, const DatasetInfo& info) {
  const auto known = std::find(info.speaker_names.begin(), info.speaker_names.end(), name);
  return known == info.speaker_names.end() ? -1 : known - info.speaker_names.begin();
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> SpeakerIndices(absl::Span<const std::string> names,
                                                    const DatasetInfo& info) {
  std::vector<std::string> speakers;  // in order of appearance
  std::map<std::string, int64_t> index_of;
  for (const std::string& name : names) {
    if (index_of.emplace(name, -1).second) speakers.push_back(name);
  }
  if (static_cast<int64_t>(speakers.size()) > info.num_speakers) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", speakers.size(), " speakers (", absl::StrJoin(speakers, ", "),
                     "), and the model has weights for ", info.num_speakers,
                     ", as many as its training data had; train it on data with more"));
  }
  std::set<int64_t> taken;
  const auto take_known = [&](const std::string& speaker) {
    const int64_t known = KnownIndex(speaker, info);
    if (known >= 0 && taken.insert(known).second) index_of[speaker] = known;
  };
  const bool in_order = info.context == ContextScope::kPast;
  if (!in_order) std::for_each(speakers.begin(), speakers.end(), take_known);
  int64_t next = 0;
  for (const std::string& speaker : speakers) {
    if (in_order) take_known(speaker);
    if (index_of[speaker] >= 0) continue;
    while (taken.count(next) > 0) ++next;
    index_of[speaker] = next;
    taken.insert(next);
  }
  std::vector<int64_t> indices;
  indices.reserve(names.size());
  for (const std::string& name : names) indices.push_back(index_of[name]);
  return indices;
}

}  // namespace cmerc
