// The pickles of data/.
#ifndef CMERC_TESTS_STORAGE_PICKLE_FIXTURES_H_
#define CMERC_TESTS_STORAGE_PICKLE_FIXTURES_H_

#include <string>
#include <vector>

namespace cmerc::pickle {

// Paths, sorted; never empty.
std::vector<std::string> FixturePaths();

std::string ReadFile(const std::string& path);

}  // namespace cmerc::pickle

#endif  // CMERC_TESTS_STORAGE_PICKLE_FIXTURES_H_
