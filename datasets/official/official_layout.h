// Which field of a feature file holds what. Orders as unpacked by the official dataloader.py of
// CMERC and M3Net, conv-emotion's COSMIC and SDT; or as options say.
#ifndef CMERC_DATASETS_OFFICIAL_OFFICIAL_LAYOUT_H_
#define CMERC_DATASETS_OFFICIAL_OFFICIAL_LAYOUT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "datasets/official/official_pickles.pb.h"
#include "storage/pickle/pickle.h"

namespace cmerc::datasets {

// A corpus that a file may be of.
struct Corpus {
  std::string name;  // "IEMOCAP"; empty where a layout leaves it open
  OfficialPicklesOptions::Layout layout = OfficialPicklesOptions::AUTO;
  std::vector<std::string> class_names;  // in the order of its labels
};

// Ways to fields (field_path.h) from the root; empty where a layout has no such field.
struct OfficialLayout {
  std::string name;    // "IEMOCAP features"
  int num_fields = 0;  // of the tuple or list; 0: the file may have any number
  std::string speakers;
  std::string labels;
  std::vector<std::string> text;  // one field per stream
  std::string audio;
  std::string visual;
  std::string sentences;
  std::string ids;              // of utterances
  std::string train;            // includes the validation conversations where there is no `valid`
  std::string valid;            //
  std::string test;             //
  std::string conversation_id;  // a key of each conversation of a list
  std::vector<std::string> unused;
  std::vector<std::string> left_out;  // modalities that options do not choose
  Corpus corpus;
  bool is_from_fields = false;  // whether it is LayoutFromFields()

  bool has_audio() const { return !audio.empty(); }

  // Returns all fields that are not empty, each with what messages call it.
  std::vector<std::pair<std::string, std::string>> Fields() const;
};

// Returns whether options choose a modality: options.modalities names it, or nothing.
bool IsChosen(const OfficialPicklesOptions& options, absl::string_view modality);

// Returns the layout of a file that is given as features_file or as roberta_file. InvalidArgument:
// `layout` has no such file.
absl::StatusOr<OfficialLayout> FeaturesLayout(OfficialPicklesOptions::Layout layout);
absl::StatusOr<OfficialLayout> RobertaLayout(OfficialPicklesOptions::Layout layout);

// Returns the layout that options describe. InvalidArgument: they leave out labels, train_ids or
// test_ids, or give a field that is empty.
absl::StatusOr<OfficialLayout> LayoutFromFields(const OfficialPicklesOptions::Fields& fields);

// Returns the layout that the content of `document` shows, whatever is in the place of modalities
// that options do not choose. InvalidArgument says why it shows none: how many fields layouts have,
// or which field of the only one with as many holds something else.
absl::StatusOr<OfficialLayout> DetectLayout(const pickle::Document& document,
                                            const OfficialPicklesOptions& options = {});

// Fails with InvalidArgument where `document` does not have the number of fields of `layout`.
absl::Status CheckNumFields(const pickle::Document& document, const OfficialLayout& layout);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_OFFICIAL_LAYOUT_H_
