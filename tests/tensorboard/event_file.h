// Reads event files back, for tests.
#ifndef CMERC_TESTS_TENSORBOARD_EVENT_FILE_H_
#define CMERC_TESTS_TENSORBOARD_EVENT_FILE_H_

#include <string>
#include <vector>

#include "tensorboard/event.pb.h"

namespace cmerc {

// The only event file in `folder`.
std::string EventFileIn(const std::string& folder);

// Every event of a file whose lengths and checksums are right; a test fails where one is not.
std::vector<tensorboard::Event> ReadEvents(const std::string& path);

}  // namespace cmerc

#endif  // CMERC_TESTS_TENSORBOARD_EVENT_FILE_H_
