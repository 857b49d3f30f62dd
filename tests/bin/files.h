// Files and folders of tests.
#ifndef CMERC_TESTS_BIN_FILES_H_
#define CMERC_TESTS_BIN_FILES_H_

#include <map>
#include <string>

namespace cmerc {

// A new, empty folder below the test's temporary one.
std::string NewFolder();

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& contents);

// Every file and folder below `folder`, as a path relative to it, and what the file holds.
std::map<std::string, std::string> Files(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_FILES_H_
