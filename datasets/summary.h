// What a data set holds, and what may be wrong with it.
#ifndef CMERC_DATASETS_SUMMARY_H_
#define CMERC_DATASETS_SUMMARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "core/dataset.h"

namespace cmerc {

struct SplitSummary {
  std::string name;  // "train", "valid", "test"
  int64_t conversations = 0;
  int64_t utterances = 0;
  int64_t shortest = 0;  // utterances of a conversation; 0 where there is none
  int64_t longest = 0;
  std::vector<int64_t> class_counts;    // [C] utterances
  std::vector<int64_t> speaker_counts;  // [S] utterances
  int64_t unlabelled = 0;               // utterances without a label
  std::vector<int64_t> missing_counts;  // [M] utterances without the modality
  int64_t without_any = 0;              // utterances without any modality
};

// The values of a modality, over all splits and streams and the utterances that have it.
struct ModalitySummary {
  float min = 0;
  float max = 0;
  double mean = 0;
  double deviation = 0;
};

struct DatasetSummary {
  DatasetInfo info;
  std::vector<SplitSummary> splits;         // train, valid, test
  std::vector<ModalitySummary> modalities;  // as in info
  // A sentence each: those of WarningsOf(), then an empty split, classes and speakers that a split
  // lacks, a split without labels, features that never vary, utterances whose features are there
  // and all 0, conversations and
  // utterances that two splits share, with how many of these utterances are long.
  std::vector<std::string> warnings;
};

// Reads every conversation of every split; `progress` is told how many are done. Errors of
// Dataset::Get() are passed on.
absl::StatusOr<DatasetSummary> Summarize(const Dataset& dataset,
                                         absl::FunctionRef<void(int64_t done)> progress);

// Returns the summary as tables, then a line for each warning.
std::string FormatSummary(const DatasetSummary& summary);

}  // namespace cmerc

#endif  // CMERC_DATASETS_SUMMARY_H_
