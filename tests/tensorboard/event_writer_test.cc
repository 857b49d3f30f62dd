#include "tensorboard/event_writer.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/tensorboard/event_file.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string NewFolder(const std::string& name) {
  const std::string folder = testing::TempDir() + "/" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

// The bytes that TensorBoard's own writer makes of these events are from data/generate.py.
TEST(FrameRecordTest, SameBytesAsTensorBoards) {
  std::string bytes;
  for (const char* text : {R"pb(wall_time: 1.5 file_version: "brain.Event:2")pb",
                           R"pb(wall_time: 2.5
                                step: 3
                                summary {
                                  value { tag: "loss/total" simple_value: 0.1 }
                                  value { tag: "test/weighted_f1" simple_value: 0.75 }
                                })pb",
                           R"pb(wall_time: 3.5
                                step: 1099511627776
                                summary {
                                  value {
                                    tag: "gradient/weight"
                                    histo {
                                      min: -1
                                      max: 2
                                      num: 3
                                      sum: 1.5
                                      sum_squares: 5.25
                                      bucket_limit: [ 0, 1, 3 ]
                                      bucket: [ 1, 1, 1 ]
                                    }
                                  }
                                })pb"}) {
    tensorboard::Event event;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &event));
    bytes += FrameRecord(event.SerializeAsString());
  }
  bytes += FrameRecord("");
  std::ifstream golden("tests/tensorboard/data/golden.tfevents", std::ios::binary);
  EXPECT_EQ(bytes, std::string(std::istreambuf_iterator<char>(golden), {}));
}

TEST(EventWriterTest, WritesWhatItIsGiven) {
  const std::string folder = NewFolder("events");
  auto writer = EventWriter::Create(folder);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->WriteScalars(0, {{"loss/total", 0.1}, {"test/accuracy", 1}}).ok());
  ASSERT_TRUE((*writer)->WriteHistogram(7, "gradient/weight", {1.0f, 2.0f}).ok());
  // The system has the events before the file is closed: TensorBoard shows a run while it goes.
  EXPECT_EQ(ReadEvents(EventFileIn(folder)).size(), 3u);
  ASSERT_TRUE((*writer)->Close().ok());

  const std::vector<tensorboard::Event> events = ReadEvents(EventFileIn(folder));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[1].step(), 0);
  ASSERT_EQ(events[1].summary().value_size(), 2);
  EXPECT_EQ(events[1].summary().value(0).tag(), "loss/total");
  EXPECT_EQ(events[1].summary().value(0).simple_value(), 0.1f);
  EXPECT_EQ(events[1].summary().value(1).simple_value(), 1.0f);
  EXPECT_EQ(events[2].step(), 7);
  EXPECT_EQ(events[2].summary().value(0).tag(), "gradient/weight");
  EXPECT_EQ(events[2].summary().value(0).histo().sum(), 3);
  for (const tensorboard::Event& event : events) EXPECT_GT(event.wall_time(), 1.6e9);
}

TEST(EventWriterTest, GoesOnWhereItWas) {
  const std::string folder = NewFolder("continued");
  std::string name;
  int64_t size = 0;
  {
    auto writer = EventWriter::Create(folder);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE((*writer)->WriteScalars(0, {{"loss/total", 0.1}}).ok());
    name = (*writer)->name();
    const absl::StatusOr<int64_t> synced = (*writer)->Sync();
    ASSERT_TRUE(synced.ok()) << synced.status();
    size = *synced;
    ASSERT_TRUE((*writer)->WriteScalars(1, {{"loss/lost", 0.2}}).ok());
  }
  auto writer = EventWriter::Continue(folder, name, size);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->WriteScalars(1, {{"loss/total", 0.3}}).ok());
  ASSERT_TRUE((*writer)->Close().ok());
  const std::vector<tensorboard::Event> events = ReadEvents(folder + "/" + name);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[2].summary().value(0).tag(), "loss/total");
  EXPECT_FLOAT_EQ(events[2].summary().value(0).simple_value(), 0.3f);

  EXPECT_THAT(EventWriter::Continue(folder, name, 1 << 20).status().message(),
              HasSubstr("bytes, want the 1048576 that the interrupted run wrote"));
  EXPECT_THAT(EventWriter::Continue(folder, name + "9", size).status().message(),
              HasSubstr("No such file"));
  for (const char* bad : {"metrics.jsonl", "events.out.tfevents./../../x", ""}) {
    EXPECT_TRUE(absl::IsInvalidArgument(EventWriter::Continue(folder, bad, 0).status())) << bad;
  }
}

TEST(EventWriterTest, AFolderThatIsNotThere) {
  const auto writer = EventWriter::Create(NewFolder("events") + "/none");
  EXPECT_EQ(writer.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(writer.status().message()),
              AllOf(HasSubstr("/none/events.out.tfevents."), HasSubstr("choose another --output")));
}

TEST(EventWriterTest, AnEventThatDoesNotFitIsAnError) {
  auto writer = EventWriter::Create(NewFolder("events"));
  ASSERT_TRUE(writer.ok()) << writer.status();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{200, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = (*writer)->WriteScalars(0, {{std::string(300, 'x'), 1}});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("cannot write "), HasSubstr("File too large; free some space")));
}

}  // namespace
}  // namespace cmerc
