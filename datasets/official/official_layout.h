// Which field of an official feature file holds what. Orders as unpacked by the official
// dataloader.py of CMERC and M3Net, conv-emotion's COSMIC and SDT.
#ifndef CMERC_DATASETS_OFFICIAL_OFFICIAL_LAYOUT_H_
#define CMERC_DATASETS_OFFICIAL_OFFICIAL_LAYOUT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "datasets/official/official_pickles.pb.h"
#include "storage/pickle/pickle.h"

namespace cmerc::datasets {

// Positions in the tuple, from 0; kNoField where a layout has no such field.
struct OfficialLayout {
  static constexpr int kNoField = -1;

  std::string name;  // "IEMOCAP features"
  int num_fields;
  int speakers;
  int labels;
  std::vector<int> text;  // one field per stream
  int audio;
  int visual;
  int sentences;
  int train;  // includes the validation conversations where there is no `valid`
  int test;
  int valid;
  std::vector<std::string> class_names;  // of the corpus; empty where the layout leaves it open

  bool has_audio() const { return audio != kNoField; }
};

// Returns the layout of a file that is given as features_file or as roberta_file. InvalidArgument:
// `layout` has no such file.
absl::StatusOr<OfficialLayout> FeaturesLayout(OfficialPicklesOptions::Layout layout);
absl::StatusOr<OfficialLayout> RobertaLayout(OfficialPicklesOptions::Layout layout);

// Returns the layout that the content of `document` shows. InvalidArgument: it shows none.
absl::StatusOr<OfficialLayout> DetectLayout(const pickle::Document& document);

// Fails with InvalidArgument where `document` does not have the fields of `layout` with the right
// kinds of content.
absl::Status CheckLayout(const pickle::Document& document, const OfficialLayout& layout);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_OFFICIAL_LAYOUT_H_
