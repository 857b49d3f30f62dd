// Which modalities the utterances that `cmerc predict` answers lack.
#ifndef CMERC_BIN_MISSING_COUNT_H_
#define CMERC_BIN_MISSING_COUNT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/dataset.h"

namespace cmerc {

class MissingCount {
 public:
  // Of the modalities of `info`.
  explicit MissingCount(const DatasetInfo& info);

  void Add(const Conversation& conversation);

  // ", 20 without audio, 3 without visual"; "" where nothing lacks.
  std::string Summary() const;
  // That a modality was missing from each and every utterance; "" where none was.
  std::string Warning() const;

 private:
  std::vector<std::string> names_;
  std::vector<int64_t> lacking_;  // utterances without the modality, parallel to names_
  int64_t utterances_ = 0;
};

}  // namespace cmerc

#endif  // CMERC_BIN_MISSING_COUNT_H_
