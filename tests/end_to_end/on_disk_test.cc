// RecordsOptions { in_memory: false }: training, curriculum, evaluation, difficulties and
// predictions write the same bytes as with everything in memory, and a corpus may be larger than
// the memory.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "datasets/formats/conversation.pb.h"
#include "datasets/formats/record_file.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

// Makes a folder with "tiny.textproto", and of its data "corpus.records" and "corpus.jsonl", in
// which every fifth utterance lacks its audio.
std::string MakeFolderWithCorpus() {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  const auto convert = [&](const std::vector<std::string>& from, const std::string& to) {
    std::vector<std::string> args = {"data", "convert", "--output=" + to};
    args.insert(args.end(), from.begin(), from.end());
    const Outcome outcome = RunCmerc(args, folder);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  };
  convert({"--config=tiny.textproto",
           "--set=data { dataset { [type.googleapis.com/cmerc.SyntheticOptions] { "
           "train_conversations: 12 valid_conversations: 5 test_conversations: 5 } } }"},
          "whole.jsonl");
  std::string text = ReadFile(folder + "/whole.jsonl");
  int utterance = 0;
  for (size_t place = text.find("\"audio\":["); place != std::string::npos;
       place = text.find("\"audio\":[", place + 1)) {
    if (++utterance % 5 != 0) continue;
    const size_t begin = place + 8;
    text.replace(begin, text.find(']', begin) + 1 - begin, "null");
  }
  EXPECT_GT(utterance, 50);
  WriteFile(folder + "/corpus.jsonl", text);
  convert({"--input=corpus.jsonl"}, "corpus.records");
  return folder;
}

// That folder, the same for all tests, whose outputs have names of their own.
const std::string& FolderWithCorpus() {
  static const auto* folder = new std::string(MakeFolderWithCorpus());
  return *folder;
}

// --set of a run on `file`.
std::string OnFile(const std::string& file, bool in_memory) {
  return absl::StrCat("--set=data { dataset { [type.googleapis.com/cmerc.RecordsOptions] { file: '",
                      file, "' in_memory: ", in_memory ? "true" : "false", " } } }");
}

Outcome Must(const std::vector<std::string>& args, const std::string& folder) {
  Outcome outcome = RunCmerc(args, folder);
  EXPECT_EQ(outcome.exit_code, 0) << absl::StrJoin(args, " ") << "\n" << outcome.err;
  return outcome;
}

TEST(OnDiskTest, AllCommandsWriteTheSameBytes) {
  const std::string& folder = FolderWithCorpus();
  const std::vector<std::string> options = {
      "--set=data { standardize: true }",
      "--set=curriculum { scheduler { [type.googleapis.com/cmerc.BabyStepOptions] { epoch_ratio: "
      "0.5 "
      "} } }",
      "--set=training { epochs: 3 compare_uncalibrated: true }"};
  for (const auto& [file, more] :
       {std::pair("corpus.records", "--set=training { drop_evidence: 0.2 }"),
        {"corpus.jsonl", "--set=data { standardize: false protocol: OFFICIAL }"}}) {
    const std::string trained = absl::StrCat(folder, "/of_memory");
    std::filesystem::remove_all(trained);
    std::vector<std::string> args = {"train", "--config=tiny.textproto", "--output=of_memory"};
    args.insert(args.end(), options.begin(), options.end());
    args.insert(args.end(), {more, OnFile("corpus.records", true)});
    Must(args, folder);
    const auto with = [&](std::vector<std::string> command, const std::string& run) {
      command.push_back(absl::StrCat("--checkpoint=", run, "/selected.pth"));
      return Must(command, folder);
    };
    const auto outputs = [&](const std::string& run) {
      std::vector<std::string> all;
      for (const char* file : {"metrics.jsonl", "test_predictions.jsonl", "curriculum.json"}) {
        all.push_back(ReadFile(absl::StrCat(folder, "/", run, "/", file)));
        EXPECT_NE(all.back(), "") << file;
      }
      all.push_back(with({"evaluate", "--views", "--missing=0.3"}, run).out);
      all.push_back(with({"predict", "--split=train", "--explain"}, run).out);
      with({"difficulty", "--output=difficulty.json", "--overwrite"}, run);
      all.push_back(ReadFile(folder + "/difficulty.json"));
      // But for where the model is.
      for (std::string& one : all) one = absl::StrReplaceAll(one, {{run, "RUN"}});
      return all;
    };
    const std::vector<std::string> want = outputs("of_memory");
    std::filesystem::remove_all(folder + "/of_disk");
    args[2] = "--output=of_disk";
    args.back() = OnFile(file, false);
    Must(args, folder);
    const std::vector<std::string> found = outputs("of_disk");
    for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(found[i], want[i]) << file << " " << i;
  }
}

TEST(OnDiskTest, DataCommandsTellTheSame) {
  const std::string& folder = FolderWithCorpus();
  const std::string in_memory = OnFile("corpus.jsonl", true);
  const std::string on_disk = OnFile("corpus.jsonl", false);
  EXPECT_EQ(Must({"data", "describe", "--config=tiny.textproto", on_disk}, folder).out,
            Must({"data", "describe", "--config=tiny.textproto", in_memory}, folder).out);
  for (const char* ending : {".records", ".npz"}) {
    const auto convert = [&](const std::string& set) {
      Must({"data", "convert", "--config=tiny.textproto", set, absl::StrCat("--output=out", ending),
            "--overwrite"},
           folder);
      return ReadFile(absl::StrCat(folder, "/out", ending));
    };
    EXPECT_EQ(convert(on_disk), convert(in_memory)) << ending;
  }
}

TEST(OnDiskTest, ARunThatIsKilledGoesOnToTheSameBytes) {
  const std::string& folder = FolderWithCorpus();
  const auto command = [](const std::string& output) {
    return std::vector<std::string>{
        "train",    "--config=tiny.textproto",       "--set=training { epochs: 40 }",
        "--resume", OnFile("corpus.records", false), "--output=" + output};
  };
  const auto start = std::chrono::steady_clock::now();
  Must(command("whole"), folder);
  const auto all = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - start);
  for (int round = 0; round < 2; ++round) {
    RunningProgram run("bin/cmerc", command("killed"), folder);
    if (!run.EndsWithin(all * 2 / 3)) kill(run.pid(), SIGKILL);
    run.Wait();
  }
  Must(command("killed"), folder);
  for (const char* file : {"metrics.jsonl", "test_predictions.jsonl", "selected.pth"}) {
    EXPECT_EQ(ReadFile(absl::StrCat(folder, "/killed/", file)),
              ReadFile(absl::StrCat(folder, "/whole/", file)))
        << file;
  }
}

// Kilobytes of data that a process may have, and how much larger the corpus is.
constexpr int64_t kLimit = 500000;
constexpr int64_t kCorpus = kLimit * 9 / 8;
constexpr int kWidth = 8192;
constexpr int kUtterances = 32;

// Writes a corpus of kCorpus kilobytes of features.
void WriteLargeCorpus(const std::string& path) {
  std::ofstream out(path, std::ios::binary);
  DatasetSchema schema;
  schema.set_name("large");
  schema.add_class_names("calm");
  schema.add_class_names("angry");
  schema.add_speakers("Ann");
  DatasetSchema::Modality* modality = schema.add_modalities();
  modality->set_name("text");
  modality->set_width(kWidth);
  modality->set_num_streams(1);
  const auto writer = RecordFileWriter::Create(schema, [&](absl::string_view bytes) {
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return absl::OkStatus();
  });
  ASSERT_TRUE(writer.ok()) << writer.status();
  const auto conversations = static_cast<int>(kCorpus / (kWidth * kUtterances * 4 / 1024));
  uint32_t random = 1;
  for (int c = 0; c < conversations; ++c) {
    ConversationRecord record;
    record.set_id(absl::StrCat("c", c));
    record.set_split(c % 8 == 0   ? ConversationRecord::VALID
                     : c % 8 == 1 ? ConversationRecord::TEST
                                  : ConversationRecord::TRAIN);
    ConversationRecord::Modality* text = record.add_modalities();
    text->set_name("text");
    text->set_width(kWidth);
    auto* values = text->add_streams()->mutable_values();
    for (int u = 0; u < kUtterances; ++u) {
      ConversationRecord::Utterance* utterance = record.add_utterances();
      utterance->set_speaker("Ann");
      utterance->set_label((c + u) % 3 == 0 ? "calm" : "angry");
      for (int d = 0; d < kWidth; ++d) {
        random = random * 1664525 + 1013904223;
        values->Add(static_cast<float>(random >> 8) / 16777216.0F -
                    ((c + u) % 3 == 0 ? 0.2F : 0.F));
      }
    }
    ASSERT_TRUE((*writer)->Write(record).ok());
  }
  ASSERT_TRUE((*writer)->Finish().ok());
}

TEST(OnDiskTest, ACorpusMayBeLargerThanTheMemory) {
  if (std::getenv("TSAN_OPTIONS") != nullptr || std::getenv("ASAN_OPTIONS") != nullptr) {
    GTEST_SKIP() << "a sanitizer needs more memory than the limit leaves";
  }
  const std::string folder = NewFolder();
  WriteLargeCorpus(folder + "/large.records");
  EXPECT_GT(std::filesystem::file_size(folder + "/large.records"), uint64_t{kLimit} * 1024);
  WriteFile(folder + "/large.textproto", R"pb(
    data {
      dataset {
        [type.googleapis.com/cmerc.RecordsOptions] { file: "large.records" }
      }
      standardize: true
    }
    backbone {
      [type.googleapis.com/cmerc.GruOptions] { hidden_width: 4 linear_width: 4 }
    }
    losses {
      loss {
        [type.googleapis.com/cmerc.NllOptions] {}
      }
    }
    training { epochs: 1 batch_size: 8 threads: 1 }
  )pb");
  const auto limited = [&](const std::string& args) {
    const std::string command =
        absl::StrCat("ulimit -d ", kLimit, "; exec ",
                     std::filesystem::absolute("bin/cmerc").string(), " ", args);
    Surroundings surroundings;
    surroundings.environment["OMP_NUM_THREADS"] = "1";  // OpenBLAS has buffers for each of them
    return RunProgram("/bin/sh", {"-c", command}, folder, surroundings);
  };
  const Outcome too_large = limited("train --config=large.textproto --output=in_memory");
  EXPECT_NE(too_large.exit_code, 0) << "the limit does not limit";
  const Outcome trained = limited(
      "train --config=large.textproto --output=run '--set=data { dataset { "
      "[type.googleapis.com/cmerc.RecordsOptions] { in_memory: false } } }'");
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  for (const char* command :
       {"evaluate", "predict --output=split.jsonl", "difficulty --output=difficulty.json",
        "predict --input=large.records --output=input.jsonl --resume"}) {
    const Outcome outcome = limited(absl::StrCat(command, " --checkpoint=run/selected.pth"));
    EXPECT_EQ(outcome.exit_code, 0) << command << "\n" << outcome.err;
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace cmerc
