#include "datasets/modality_sightings.h"

#include "absl/strings/str_cat.h"
#include "datasets/formats/conversation.h"
#include "registry/nearest_name.h"

namespace cmerc {

static_assert(kMaxModalities <= 64, "a set of modalities is the bits of a number");

void ModalitySightings::Add(const ConversationRecord& record, const std::string& place,
                            DatasetSchema* schema) {
  std::vector<uint64_t> of_utterances(record.utterances_size(), 0);
  for (const ConversationRecord::Modality& modality : record.modalities()) {
    size_t m = 0;
    while (m < modalities_.size() && modalities_[m].name != modality.name()) ++m;
    if (m == modalities_.size()) {
      DatasetSchema::Modality* entry = schema->add_modalities();
      entry->set_name(modality.name());
      entry->set_width(modality.width());
      entry->set_num_streams(modality.streams_size());
      modalities_.push_back({modality.name(), place});
    }
    if (m >= kMaxModalities) continue;  // the schema is refused
    DatasetSchema::Modality* entry = schema->mutable_modalities(static_cast<int>(m));
    if (modality.has_extractor() && !entry->has_extractor()) {
      entry->set_extractor(modality.extractor());
    }
    std::vector<int> rows = RowsOf(modality, record.utterances_size());
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] < 0) continue;
      of_utterances[i] |= uint64_t{1} << m;
      ++modalities_[m].utterances;
    }
  }
  for (const uint64_t seen : of_utterances) {
    for (size_t m = 0; m < modalities_.size() && seen >> m != 0; ++m) {
      if ((seen >> m & 1) != 0) modalities_[m].together |= seen;
    }
  }
}

template <typename F>
void ModalitySightings::ForEachApart(const F& f) const {
  for (size_t a = 0; a < modalities_.size(); ++a) {
    for (size_t b = a + 1; b < modalities_.size(); ++b) {
      const Modality& first = modalities_[a];
      const Modality& second = modalities_[b];
      if ((first.together >> b & 1) != 0) continue;
      // Of equally rare ones the later one is named.
      if (first.utterances < second.utterances) {
        f(first, second);
      } else {
        f(second, first);
      }
    }
  }
}

std::vector<std::string> ModalitySightings::Misspellings() const {
  std::vector<std::string> sentences;
  ForEachApart([&](const Modality& rarer, const Modality& other) {
    if (NearestName(rarer.name, {other.name}).empty()) return;
    sentences.push_back(absl::StrCat(
        rarer.place, ": features.", rarer.name, " is in ", rarer.utterances,
        rarer.utterances == 1 ? " utterance, which has" : " utterances, none of which has",
        rarer.utterances == 1 ? " no " : " ", other.name, "; did you mean \"", other.name, "\"?"));
  });
  return sentences;
}

std::vector<std::string> ModalitySightings::NeverTogether() const {
  std::vector<std::string> sentences;
  ForEachApart([&](const Modality& rarer, const Modality& other) {
    if (!NearestName(rarer.name, {other.name}).empty()) return;
    sentences.push_back(absl::StrCat("no utterance has both ", other.name, " and ", rarer.name,
                                     "; are they one modality under two names?"));
  });
  return sentences;
}

}  // namespace cmerc
