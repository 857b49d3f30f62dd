// Reading a run's folder, whole and broken.
#include "report/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/report/sample_run.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(ReadRunTest, ReadsEverything) {
  const std::string folder = WriteSampleRun("whole");
  const absl::StatusOr<TrainingRun> run = ReadRun(folder + "/");
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->path, folder);
  EXPECT_EQ(run->config, ReadText(folder + "/config.textproto"));
  ASSERT_EQ(run->epochs.size(), 3u);
  EXPECT_EQ(run->epochs[2].losses_size(), 2);
  EXPECT_EQ(run->uncalibrated_epochs[2].losses_size(), 1);
  EXPECT_EQ(run->timing[1].slowest_step().conversations(1), "Ses2");
  EXPECT_EQ(run->curriculum->conversations(2).first_epoch(), -1);
  ASSERT_TRUE(run->summary.has_value());
  // JSON leaves an unset field its default.
  MessageDifferencer differencer;
  differencer.set_message_field_comparison(MessageDifferencer::EQUIVALENT);
  EXPECT_TRUE(differencer.Compare(*run->summary, SampleSummary()));
}

TEST(ReadRunTest, SomeFilesMayBeMissing) {
  const std::string folder = WriteSampleRun("partial");
  for (const char* file : {"summary.json", "timing.jsonl", "curriculum.json"}) {
    std::filesystem::remove(absl::StrCat(folder, "/", file));
  }
  std::filesystem::remove_all(folder + "/uncalibrated");
  const absl::StatusOr<TrainingRun> run = ReadRun(folder);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_FALSE(run->summary.has_value());
  EXPECT_FALSE(run->curriculum.has_value());
  EXPECT_TRUE(run->timing.empty());
  EXPECT_TRUE(run->uncalibrated_epochs.empty());
}

// A later version may write fields that this one does not know.
TEST(ReadRunTest, UnknownFieldsAreSkipped) {
  const std::string folder = WriteSampleRun("newer");
  const std::string summary = ReadText(folder + "/summary.json");
  WriteText(folder + "/summary.json", "{\"of_the_future\": [{\"a\": 1}]," + summary.substr(1));
  EXPECT_TRUE(ReadRun(folder).ok());
}

struct Broken {
  std::string file;
  // Replaces `from` by `to`; with an empty `from`, the whole file.
  std::string from;
  std::string to;
  std::vector<std::string> says;
};

TEST(ReadRunTest, SaysWhereAFileIsBroken) {
  const std::vector<Broken> cases = {
      {"metrics.jsonl", "", "", {"metrics.jsonl: no epoch has finished"}},
      {"metrics.jsonl", "\"epoch\":1", "\"epoch\":", {"metrics.jsonl:2: "}},
      {"metrics.jsonl",
       "\"epoch\":1",
       "\"epoch\":\"one\"",
       {"metrics.jsonl:2: epoch: invalid value \"one\""}},
      {"metrics.jsonl",
       "\"epoch\":1",
       "\"epoch\":0",
       {"metrics.jsonl:2: epoch = 0, must be above 0"}},
      {"metrics.jsonl",
       "\"epoch\":2",
       "\"step\":2",
       {"metrics.jsonl:3: epoch = 0, must be above 1"}},
      {"metrics.jsonl", "{\"epoch\":1", "\n{\"epoch\":1", {"metrics.jsonl:2: is empty"}},
      {"metrics.jsonl", "", "[1]\n", {"metrics.jsonl:1: "}},
      {"metrics.jsonl", "", "{\"epoch\":0}\n{\"ep", {"metrics.jsonl:2: "}},
      {"timing.jsonl", "\"train_seconds\":1.5", "\"train_seconds\":x", {"timing.jsonl:1: "}},
      {"uncalibrated/metrics.jsonl", "", "junk", {"uncalibrated/metrics.jsonl:1: "}},
      {"summary.json", "", "", {"summary.json: is empty, want a JSON object"}},
      {"summary.json", "", "{\n\n\"seed\": 1,\n\"test\": }\n", {"summary.json:4: "}},
      {"summary.json", "", "{\"seed\": \"1\"}", {"summary.json: test is missing"}},
      {"summary.json",
       "\"seed\": \"7\"",
       "\"seed\": \"-7\"",
       {"summary.json: ", "seed: invalid value \"-7\""}},
      {"summary.json",
       "\"support\": 2",
       "\"support\": -2",
       {"summary.json: test.classes[1].support = -2, must be >= 0"}},
      {"curriculum.json", "", "{\"conversations\": 3", {"curriculum.json"}},
  };
  for (const Broken& broken : cases) {
    const std::string folder = WriteSampleRun("broken");
    const std::string path = folder + "/" + broken.file;
    const std::string text = ReadText(path);
    const std::string changed =
        broken.from.empty() ? broken.to : absl::StrReplaceAll(text, {{broken.from, broken.to}});
    ASSERT_NE(changed, text) << broken.from;
    WriteText(path, changed);
    const absl::Status status = ReadRun(folder).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << broken.file << changed;
    const std::string message(status.message());
    for (const std::string& part : broken.says) EXPECT_THAT(message, HasSubstr(part));
    EXPECT_THAT(message, AllOf(HasSubstr("; name a folder that `cmerc train` has written"),
                               Not(HasSubstr("\n"))));
  }
}

TEST(ReadRunTest, AConfusionMatrixMustFitItsClasses) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"classes\":[{\"name\":\"joy\"}], "
       "\"confusion\":[{\"predicted\":[1]},{\"predicted\":[1]}]}",
       "test.confusion has 2 rows, want 1 as test.classes"},
      {"{\"classes\":[{\"name\":\"joy\"}], \"confusion\":[{\"predicted\":[1, 2]}]}",
       "test.confusion[0].predicted has 2 numbers, want 1"},
      {"{\"classes\":[{\"name\":\"joy\"}], \"confusion\":[{\"predicted\":[-1]}]}",
       "test.confusion[0].predicted: -1, must be >= 0"},
      {"{\"classes\":[{\"name\":\"joy\"}], "
       "\"sparse_confusion\":{\"counts\":[{\"label\":0,\"predicted\":1,\"utterances\":2}]}}",
       "test.sparse_confusion.counts: label: 0 predicted: 1 utterances: 2; want classes from 0 to "
       "0 and utterances >= 0"},
      {"{\"calibration\":{\"bins\":[{\"confidence\":\"NaN\"}]}}",
       "test.calibration.bins[0]: confidence: nan; want utterances >= 0, confidence"},
      {"{\"views\":[{\"calibration\":{\"bins\":[{\"accuracy\":1.5}]}}]}",
       "test.views[0].calibration.bins[0]: accuracy: 1.5"},
  };
  for (const auto& [test, says] : cases) {
    const std::string folder = WriteSampleRun("matrix");
    WriteText(folder + "/summary.json", "{\"test\":" + test + "}");
    EXPECT_THAT(std::string(ReadRun(folder).status().message()),
                HasSubstr("summary.json: " + says));
    // The uncalibrated model's, and an epoch's, are looked at as well.
    WriteText(folder + "/summary.json", "{\"test\":{},\"uncalibrated\":{\"test\":" + test + "}}");
    EXPECT_THAT(std::string(ReadRun(folder).status().message()),
                HasSubstr("summary.json: uncalibrated." + says.substr(0, 10)));
    std::filesystem::remove(folder + "/summary.json");
    WriteText(folder + "/metrics.jsonl", "{\"epoch\":0,\"test\":" + test + "}");
    EXPECT_THAT(std::string(ReadRun(folder).status().message()),
                HasSubstr("metrics.jsonl:1: " + says));
  }
}

TEST(ReadRunTest, FoldersThatHoldNoRun) {
  const std::string folder = WriteSampleRun("whole");
  const auto status = [](const std::string& path) { return ReadRun(path).status(); };
  EXPECT_EQ(status(folder + "/nowhere").code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status(folder + "/nowhere").message()),
              HasSubstr("nowhere: No such file or directory; name a folder that"));
  EXPECT_EQ(status(folder + "/summary.json").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status(folder + "/summary.json").message()),
              HasSubstr("summary.json: not a folder"));
  WriteText(folder + "/results.json", "{}");
  EXPECT_THAT(std::string(status(folder).message()), HasSubstr("an experiment, not a run"));
  std::filesystem::remove(folder + "/results.json");
  for (const char* needed : {"metrics.jsonl", "config.textproto"}) {
    std::filesystem::rename(absl::StrCat(folder, "/", needed), folder + "/moved");
    EXPECT_EQ(status(folder).code(), absl::StatusCode::kNotFound) << needed;
    EXPECT_THAT(std::string(status(folder).message()), HasSubstr(needed));
    std::filesystem::create_directory(absl::StrCat(folder, "/", needed));
    EXPECT_EQ(status(folder).code(), absl::StatusCode::kInvalidArgument) << needed;
    std::filesystem::remove(absl::StrCat(folder, "/", needed));
    std::filesystem::rename(folder + "/moved", absl::StrCat(folder, "/", needed));
  }
}

}  // namespace
}  // namespace cmerc
