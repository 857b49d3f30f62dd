#include "tests/tensorboard/event_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tensorboard/event_writer.h"

namespace cmerc {

std::string EventFileIn(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().rfind(std::string(kEventFileMark), 0) == 0) {
      found.push_back(entry.path().string());
    }
  }
  EXPECT_EQ(found.size(), 1u) << folder;
  return found.empty() ? "" : found[0];
}

std::vector<tensorboard::Event> ReadEvents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  std::vector<tensorboard::Event> events;
  size_t at = 0;
  while (at + 16 <= bytes.size()) {
    uint64_t size = 0;
    for (int i = 7; i >= 0; --i) size = size << 8 | static_cast<unsigned char>(bytes[at + i]);
    if (size > bytes.size() - at - 16) break;
    const std::string data = bytes.substr(at + 12, size);
    EXPECT_EQ(bytes.substr(at, 16 + size), FrameRecord(data)) << "at byte " << at;
    tensorboard::Event event;
    EXPECT_TRUE(event.ParseFromString(data)) << "at byte " << at;
    events.push_back(event);
    at += 16 + size;
  }
  EXPECT_EQ(at, bytes.size()) << path;
  return events;
}

}  // namespace cmerc
