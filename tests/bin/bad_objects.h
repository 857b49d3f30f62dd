// Pickles of objects that are no plain data or not the data that are wanted, for the tables of
// wrong uses.
#ifndef CMERC_TESTS_BIN_BAD_OBJECTS_H_
#define CMERC_TESTS_BIN_BAD_OBJECTS_H_

#include <string>

namespace cmerc {

// Writes object.pkl, masked.pkl, complex.pkl, dates.pkl, text_labels.pkl, one_hot_labels.pkl,
// no_text.pkl and object_file.pkl into a folder: the layout of iemocap_features_roberta.pkl, with
// conversations Ses0, Ses1 and Ses2.
void WriteBadObjects(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_OBJECTS_H_
