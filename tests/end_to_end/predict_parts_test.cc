// `cmerc predict --shard` and `--resume`: in parts, and in several goes, an archive has the answers
// that one process gives, byte for byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "datasets/export.h"
#include "datasets/formats/record_file.h"
#include "tests/bin/tiny_files.h"
#include "tests/bytes/packed.h"
#include "tests/end_to_end/predicting.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

// Of two conversations a batch, as the model's config has it: of nine the last batch has one.
class PartsTest : public PredictFixture {
 protected:
  // The conversations of the fixture as a record file.
  static void WriteRecordFile(const std::string& file) {
    std::string bytes;
    const auto writer = RecordFileWriter::Create(SchemaOf(*info_), [&](absl::string_view piece) {
      bytes.append(piece.data(), piece.size());
      return absl::OkStatus();
    });
    ASSERT_TRUE(writer.ok()) << writer.status();
    for (const Conversation& conversation : *conversations_) {
      ASSERT_TRUE((*writer)->Write(RecordOf(conversation, *info_)).ok());
    }
    ASSERT_TRUE((*writer)->Finish().ok());
    WriteFile(absl::StrCat(*folder_, "/", file), bytes);
  }

  // What all shards of `more` write, one after the other.
  static std::string Together(int shards, const std::vector<std::string>& more) {
    std::string all;
    for (int shard = 1; shard <= shards; ++shard) {
      std::vector<std::string> args = more;
      args.push_back(absl::StrCat("--shard=", shard, "/", shards));
      all += MustPredict(args);
    }
    return all;
  }
};

TEST_F(PartsTest, ShardsOfEveryFormatAreTheWholeWhenPutTogether) {
  WriteRecordFile("test.records");
  WriteFile(*folder_ + "/test.jsonl.gz", Gzip(ReadFile(*folder_ + "/test.jsonl")));
  // Five batches: as many for each shard, one more for some, and none for the last two of seven.
  for (const auto& [input, shards] : {std::pair("--input=test.jsonl", 7),
                                      {"--input=test.records", 2},
                                      {"--input=test.jsonl.gz", 3},
                                      {"--split=test", 2}}) {
    const std::string whole = MustPredict({input, "--explain"});
    ASSERT_THAT(Lines(whole), SizeIs(9));
    EXPECT_EQ(Together(shards, {input, "--explain"}), whole) << input;
  }
}

TEST_F(PartsTest, ShardsOfAPickleAreTheWholeWhenPutTogether) {
  TinyCorpus corpus;
  corpus.conversations = {{"Ses0"}, {"Ses1"}, {"Ses2"}, {"Ses3"}, {"Ses4"}};
  for (size_t c = 2; c < 5; ++c) {
    corpus.conversations[c].text = {{0.1 * static_cast<double>(c), 1}, {-1, 0.5}};
  }
  corpus.test = {"Ses2", "Ses3", "Ses4"};
  WriteFile(*folder_ + "/corpus.pkl", PickleOf(corpus));
  const Outcome trained =
      RunCmerc({"train", "--config=tiny.textproto", "--output=of_pickle",
                "--set=data { dataset { [type.googleapis.com/cmerc.OfficialPicklesOptions] { "
                "roberta_file: 'corpus.pkl' class_names: ['calm', 'angry'] } } }"},
               *folder_);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const auto predict = [](const std::vector<std::string>& more) {
    std::vector<std::string> args = {"predict", "--checkpoint=of_pickle/selected.pth"};
    args.insert(args.end(), more.begin(), more.end());
    const Outcome outcome = RunCmerc(args, *folder_);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  };
  const std::string whole = predict({});
  ASSERT_THAT(Lines(whole), SizeIs(3));
  EXPECT_EQ(absl::StrCat(predict({"--shard=1/2"}), predict({"--shard=2/2"})), whole);
  // The first of its answers is there already.
  WriteFile(*folder_ + "/of_pickle.jsonl", absl::StrCat(Lines(whole)[0], "\n", "{\"id\":"));
  predict({"--output=of_pickle.jsonl", "--resume"});
  EXPECT_EQ(ReadFile(*folder_ + "/of_pickle.jsonl"), whole);
}

// What is left out changes who the batch mates are, here as there, and each line is told of once.
TEST_F(PartsTest, ShardsLeaveOutWhatOneProcessLeavesOut) {
  std::vector<std::string> lines = *lines_;
  for (const size_t place : {9, 5, 4, 0}) lines.insert(lines.begin() + place, "{\"id\": 3}");
  Write("mixed.jsonl", lines);
  const Outcome whole = Predict({"--input=mixed.jsonl", "--on_error=SKIP"});
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  EXPECT_THAT(Lines(whole.out), SizeIs(9));
  for (const int shards : {2, 4}) {
    std::string all;
    std::string told;
    for (int shard = 1; shard <= shards; ++shard) {
      const Outcome part = Predict(
          {"--input=mixed.jsonl", "--on_error=SKIP", absl::StrCat("--shard=", shard, "/", shards)});
      EXPECT_EQ(part.exit_code, 0) << part.err;
      all += part.out;
      told += part.err;
    }
    EXPECT_EQ(all, whole.out) << shards;
    for (const int line : {1, 6, 8, 13}) {
      const std::string skipped = absl::StrCat("skipped: mixed.jsonl, line ", line, ": ");
      EXPECT_EQ(told.find(skipped), told.rfind(skipped)) << shards << "\n" << told;
      EXPECT_THAT(told, HasSubstr(skipped)) << shards;
    }
  }
}

TEST_F(PartsTest, AShardMayBeEmptyAndItsFileIsThere) {
  const Outcome outcome = Predict({"--input=test.jsonl", "--shard=9/9", "--output=ninth.jsonl"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("0 conversations, 0 utterances"));
  EXPECT_TRUE(std::filesystem::exists(*folder_ + "/ninth.jsonl"));
  EXPECT_EQ(ReadFile(*folder_ + "/ninth.jsonl"), "");
}

TEST_F(PartsTest, GoesOnBehindWhateverIsWritten) {
  WriteRecordFile("resumed.records");
  for (const auto& [input, all_written] :
       {std::pair<std::string, std::vector<int>>("--input=test.jsonl", {0, 1, 2, 9}),
        {"--input=resumed.records", {3}},
        {"--split=test", {4}}}) {
    const std::string all = MustPredict({input});
    const std::vector<std::string> lines = Lines(all);
    for (const int written : all_written) {
      size_t end = 0;
      for (int i = 0; i < written; ++i) end += lines[i].size() + 1;
      // Behind an even number of lines also the beginning of the next one.
      const std::string half = written % 2 == 0 ? all.substr(end, 40) : "";
      WriteFile(*folder_ + "/resumed.jsonl", all.substr(0, end) + half);
      const Outcome outcome = Predict({input, "--output=resumed.jsonl", "--resume"});
      EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
      EXPECT_THAT(outcome.err, HasSubstr(absl::StrCat(9 - written, " conversations, ")));
      EXPECT_EQ(ReadFile(*folder_ + "/resumed.jsonl"), all) << input << " " << written;
    }
  }
  // A part has an end of its own.
  const std::string second = MustPredict({"--input=test.jsonl", "--shard=2/3"});
  WriteFile(*folder_ + "/second.jsonl", Lines(second)[0] + "\n{\"id\"");
  MustPredict({"--input=test.jsonl", "--shard=2/3", "--output=second.jsonl", "--resume"});
  EXPECT_EQ(ReadFile(*folder_ + "/second.jsonl"), second);
}

// A limit of the size of files stops the process in the middle of a line.
TEST_F(PartsTest, GoesOnAfterAProcessThatIsStopped) {
  const std::string whole = MustPredict({"--input=test.jsonl"});
  const std::string command = absl::StrCat(
      "ulimit -f 4; exec ", std::filesystem::absolute("bin/cmerc").string(),
      " predict --checkpoint=run/selected.pth --input=test.jsonl --output=stopped.jsonl "
      "--resume");
  const Outcome stopped = RunProgram("/bin/sh", {"-c", command}, *folder_);
  EXPECT_NE(stopped.exit_code, 0);
  const std::string there = ReadFile(*folder_ + "/stopped.jsonl");
  ASSERT_EQ(there.size(), 2048) << stopped.err;
  EXPECT_EQ(there, whole.substr(0, 2048));
  EXPECT_NE(there.back(), '\n');
  const Outcome again = Predict({"--input=test.jsonl", "--output=stopped.jsonl", "--resume"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(ReadFile(*folder_ + "/stopped.jsonl"), whole);
}

TEST_F(PartsTest, WhatWasLeftOutBeforeCountsWhenItGoesOn) {
  std::vector<std::string> lines = *lines_;
  for (const size_t place : {6, 1, 0}) lines.insert(lines.begin() + place, "{\"id\": 3}");
  Write("resumed_mixed.jsonl", lines);
  const std::vector<std::string> skip = {"--input=resumed_mixed.jsonl", "--on_error=SKIP"};
  const std::string whole = MustPredict(skip);
  const std::vector<std::string> answers = Lines(whole);
  WriteFile(*folder_ + "/rest.jsonl", absl::StrCat(answers[0], "\n", answers[1], "\n", answers[2],
                                                   "\n", answers[3], "\n", answers[4], "\n"));
  std::vector<std::string> args = skip;
  args.insert(args.end(), {"--max_skipped=2", "--output=rest.jsonl", "--resume"});
  const Outcome few = Predict(args);
  EXPECT_EQ(few.exit_code, 2);
  EXPECT_THAT(few.err, HasSubstr("more conversations were skipped than --max_skipped=2 allows"));
  args[2] = "--max_skipped=25%";  // of 12
  const Outcome enough = Predict(args);
  EXPECT_EQ(enough.exit_code, 0) << enough.err;
  EXPECT_EQ(ReadFile(*folder_ + "/rest.jsonl"), whole);
}

TEST_F(PartsTest, RefusesToGoOnWithWhatIsOfSomethingElse) {
  const std::string whole = MustPredict({"--input=test.jsonl"});
  const auto lines = Lines(whole);
  std::vector<std::string> reversed(lines_->rbegin(), lines_->rend());
  Write("reversed.jsonl", reversed);
  Write("shorter.jsonl", {(*lines_)[0], (*lines_)[1]});
  const auto resume = [&](const std::string& there, const std::vector<std::string>& more) {
    WriteFile(*folder_ + "/other.jsonl", there);
    std::vector<std::string> args = more;
    args.insert(args.end(), {"--output=other.jsonl", "--resume"});
    const Outcome outcome = Predict(args);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(ReadFile(*folder_ + "/other.jsonl"), there) << "nothing is lost";
    return outcome.err;
  };
  const std::string three = absl::StrCat(lines[0], "\n", lines[1], "\n", lines[2], "\n");
  EXPECT_THAT(resume(three, {"--input=reversed.jsonl"}),
              AllOf(HasSubstr("other.jsonl, line 3 is not what this model says of this input"),
                    HasSubstr("there is"), HasSubstr("test_2"), HasSubstr("test_6")));
  EXPECT_THAT(resume(three, {"--input=test.jsonl", "--explain"}),
              HasSubstr("line 3 is not what this model says"));
  // The model after the last epoch, which has no temperature.
  WriteFile(*folder_ + "/other.jsonl", three);
  EXPECT_THAT(RunCmerc({"predict", "--checkpoint=run/last.pth", "--input=test.jsonl",
                        "--output=other.jsonl", "--resume"},
                       *folder_)
                  .err,
              HasSubstr("line 3 is not what this model says"));
  EXPECT_THAT(resume(three, {"--input=shorter.jsonl"}),
              HasSubstr("other.jsonl holds 3 answers, and there are only 2 conversations"));
  EXPECT_THAT(resume(whole, {"--input=test.jsonl", "--shard=1/2"}),
              HasSubstr("other.jsonl holds 9 answers, and there are only 6 conversations"));
  EXPECT_THAT(resume(whole, {"--split=test", "--shard=2/2"}),
              HasSubstr("other.jsonl holds 9 answers, and there are only 3 conversations"));
  EXPECT_THAT(resume("{\"epoch\": 1}\n", {"--input=test.jsonl"}),
              HasSubstr("does not hold predictions of `cmerc predict` and is not gone on with"));
}

// Last digits that another processor rounds otherwise are no other model; other digits are.
TEST_F(PartsTest, RoundingOfAnotherProcessorIsNotRefused) {
  const std::string whole = MustPredict({"--input=test.jsonl"});
  const std::string line = Lines(whole)[0];
  const size_t number = line.find("\"confidence\":") + 13;
  std::string rounded = line;
  rounded.insert(line.find_first_of(",}", number), "7");  // a last digit more
  WriteFile(*folder_ + "/rounded.jsonl", rounded + "\n");
  MustPredict({"--input=test.jsonl", "--output=rounded.jsonl", "--resume"});
  EXPECT_EQ(ReadFile(*folder_ + "/rounded.jsonl"),
            absl::StrCat(rounded, "\n", whole.substr(line.size() + 1)));
  std::string other = line;
  other[number + 3] = line[number + 3] == '1' ? '5' : '1';  // the second digit behind the point
  WriteFile(*folder_ + "/rounded.jsonl", other + "\n");
  EXPECT_THAT(Predict({"--input=test.jsonl", "--output=rounded.jsonl", "--resume"}).err,
              HasSubstr("line 1 is not what this model says"));
}

}  // namespace
}  // namespace cmerc
