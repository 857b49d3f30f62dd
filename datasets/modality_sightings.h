// Which modalities the conversations of a file have, where the file does not list them.
#ifndef CMERC_DATASETS_MODALITY_SIGHTINGS_H_
#define CMERC_DATASETS_MODALITY_SIGHTINGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/formats/conversation.pb.h"

namespace cmerc {

// Gathers the modalities of conversations, which need not all have the same. Two modalities that no
// utterance has both of may be one under two names.
class ModalitySightings {
 public:
  // Adds to `schema` the modalities of a record that it does not list yet, with their widths and
  // numbers of streams, and the first extractor that is said of each; `place` says where the record
  // is: "line 12". CheckRecord() holds for it.
  void Add(const ConversationRecord& record, const std::string& place, DatasetSchema* schema);

  // Returns a sentence for each name that is probably a misspelling of another: two modalities with
  // names that are near each other, and no utterance that has both.
  std::vector<std::string> Misspellings() const;

  // Returns a sentence for each other pair of modalities that no utterance has both of.
  std::vector<std::string> NeverTogether() const;

 private:
  struct Modality {
    std::string name;
    std::string place;       // of its first record
    int64_t utterances = 0;  // that have it
    uint64_t together = 0;   // a bit for each modality that an utterance has beside it
  };

  // Calls f(rarer, other) for each pair of modalities that no utterance has both of.
  template <typename F>
  void ForEachApart(const F& f) const;

  std::vector<Modality> modalities_;  // as in the schema; at most kMaxModalities of conversation.h
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_MODALITY_SIGHTINGS_H_
