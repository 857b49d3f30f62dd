// What is in a pickle of features, and which of its fields may hold what.
#ifndef CMERC_DATASETS_OFFICIAL_LAYOUT_GUESS_H_
#define CMERC_DATASETS_OFFICIAL_LAYOUT_GUESS_H_

#include <map>
#include <string>
#include <vector>

#include "datasets/official/field_sight.h"
#include "datasets/official/official_pickles.pb.h"
#include "storage/pickle/pickle.h"

namespace cmerc::datasets {

struct LayoutGuess {
  enum class Root {
    kFields,         // a tuple, list or dict of fields
    kSplits,         // a dict of splits
    kConversations,  // a list of conversations
    kModality,       // a dict from id to features
    kOther,
  };

  Root root = Root::kOther;
  std::string glance;              // "tuple of 9"
  std::string name;                // how Python calls what the fields are of: data, conversation
  std::vector<FieldSight> sights;  // in order
  OfficialPicklesOptions::Fields fields;
  // What to look at before the guess is believed: by "labels", "text", "valid_ids", ...
  std::map<std::string, std::string> notes;

  // Whether `fields` would do: it has labels, features and the lists of train and test.
  bool is_whole() const;
};

// Looks at the first conversations of every field and guesses from kinds, widths, names and order.
LayoutGuess GuessLayout(const pickle::Document& document);

// Returns a line for each field.
std::string FieldLines(const LayoutGuess& guess);

// Returns the guess as a block of a config, with its notes as comments; each line begins with
// `indent`.
std::string FieldsBlock(const LayoutGuess& guess, const std::string& indent);

// Returns the end of an error about a file whose layout is not known: what is in it, and the guess.
std::string LayoutAdvice(const pickle::Document& document);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_LAYOUT_GUESS_H_
