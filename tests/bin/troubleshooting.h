// docs/troubleshooting.md, from the table of wrong uses.
#ifndef CMERC_TESTS_BIN_TROUBLESHOOTING_H_
#define CMERC_TESTS_BIN_TROUBLESHOOTING_H_

#include <string>
#include <vector>

#include "tests/bin/bad_input_cases.h"

namespace cmerc {

// The page: a table per topic, a row per case, with what bad_input_test holds `cmerc` to.
std::string TroubleshootingPage(const std::vector<BadInputTopic>& topics);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_TROUBLESHOOTING_H_
