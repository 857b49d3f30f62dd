// Which conversations of official feature files train, validate and test.
#ifndef CMERC_DATASETS_OFFICIAL_OFFICIAL_SPLITS_H_
#define CMERC_DATASETS_OFFICIAL_OFFICIAL_SPLITS_H_

#include <memory>
#include <string>
#include <vector>

#include "core/problems.h"
#include "datasets/official/modality_file.h"
#include "datasets/official/official_file.h"
#include "datasets/official/official_pickles.pb.h"

namespace cmerc::datasets {

// The files of one data set; features or roberta is there.
struct OfficialFiles {
  std::unique_ptr<OfficialFile> features;
  std::unique_ptr<OfficialFile> roberta;
  std::vector<std::unique_ptr<ModalityFile>> modalities;

  // The file that speakers, labels and sentences are taken from.
  const OfficialFile& main() const { return features != nullptr ? *features : *roberta; }
};

struct OfficialSplits {
  using Ids = std::vector<ConversationId>;

  Ids train;
  Ids valid;
  Ids train_and_valid;
  Ids test;
};

// Returns the splits of `files`: those of roberta, with train_and_valid and test in the order of
// features, which batch mates depend on (train and valid alone are lists that only roberta has);
// those of features where it names the validation conversations; or those of features alone, of
// whose training list options.valid_fraction is held out. Adds to `problems` what is wrong with
// them: a list that cannot be read or names a conversation twice, lists that share a conversation,
// files that disagree, nothing to train or to test on.
OfficialSplits ReadSplits(const OfficialFiles& files, const OfficialPicklesOptions& options,
                          Problems* problems);

// Returns a sentence about the conversations of the main file that no split names, with how many
// they are and the first of them; "" where there are none.
std::string NamedByNoSplit(const OfficialFiles& files, const OfficialSplits& splits);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_OFFICIAL_SPLITS_H_
