// The files that wrong uses name (bad_input_cases.h).
#ifndef CMERC_TESTS_BIN_BAD_FILES_H_
#define CMERC_TESTS_BIN_BAD_FILES_H_

#include <string>

namespace cmerc {

// Writes the files that the cases name into `folder`, which holds "run/" already.
void WriteBadFiles(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_FILES_H_
