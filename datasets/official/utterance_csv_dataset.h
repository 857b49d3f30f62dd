// Data sets whose utterances are CSV files of MELD's form, with features in files of their own.
#ifndef CMERC_DATASETS_OFFICIAL_UTTERANCE_CSV_DATASET_H_
#define CMERC_DATASETS_OFFICIAL_UTTERANCE_CSV_DATASET_H_

#include <memory>

#include "absl/status/statusor.h"
#include "core/dataset.h"
#include "datasets/official/official_pickles.pb.h"

namespace cmerc::datasets {

// Reads options.utterances_csv and options.modality_files. A conversation is called by its
// Dialogue_ID, and SPLIT/Dialogue_ID where two splits have the same one; modality files have it by
// its Dialogue_ID, or its utterances as dia0_utt3. Errors are those of ReadUtteranceCsv() and
// ModalityFile; InvalidArgument, too: a split has two files, or a modality none or two for a split.
absl::StatusOr<std::unique_ptr<Dataset>> ReadUtteranceCsvDataset(
    const OfficialPicklesOptions& options);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_UTTERANCE_CSV_DATASET_H_
