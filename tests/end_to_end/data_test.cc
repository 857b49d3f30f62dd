// `cmerc data`: what it prints and writes, and that a model trained from a converted data set is
// the same to the bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"
#include "tests/datasets/official/python_values.h"

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string Absolute(const std::string& path) { return std::filesystem::absolute(path).string(); }

class DataTest : public testing::Test {
 protected:
  void SetUp() override { WriteFile(folder_ + "/tiny.textproto", TinyConfig()); }

  std::string Run(const std::vector<std::string>& args) {
    const Outcome outcome = RunCmerc(args, folder_);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  }

  // Trains tiny.textproto with its data replaced; the bytes of metrics.jsonl.
  std::string Metrics(const std::string& dataset, const std::string& protocol) {
    const std::string run = absl::StrCat("run", ++runs_);
    Run({"train", "--config=tiny.textproto", "--output=" + run,
         absl::StrCat("--set=data { protocol: ", protocol, " dataset { ", dataset, " } }"),
         "--set=training { epochs: 2 }"});
    return ReadFile(absl::StrCat(folder_, "/", run, "/metrics.jsonl"));
  }

  static std::string Records(const std::string& options) {
    return absl::StrCat("[type.googleapis.com/cmerc.RecordsOptions] { ", options, " }");
  }

  const std::string folder_ = NewFolder();
  int runs_ = 0;
};

TEST_F(DataTest, TrainingFromConvertedPicklesGivesTheSameBytes) {
  const std::string data = Absolute("tests/datasets/data");
  for (const std::string corpus : {"iemocap", "meld"}) {
    SCOPED_TRACE(corpus);
    const std::string pickles = absl::StrCat(
        "[type.googleapis.com/cmerc.OfficialPicklesOptions] { features_file: '", data, "/", corpus,
        "_features.pkl' roberta_file: '", data, "/", corpus, "_roberta.pkl' }");
    const std::string said =
        Run({"data", "convert", "--config=tiny.textproto",
             "--set=data { dataset { " + pickles + " } }", "--output=" + corpus + ".records"});
    EXPECT_THAT(said, StartsWith(absl::StrCat("4 conversations written to ", corpus, ".records")));
    EXPECT_THAT(said,
                HasSubstr(absl::StrCat(
                    "in a config: data { dataset { [type.googleapis.com/cmerc.RecordsOptions] "
                    "{ file: \"",
                    corpus, ".records\" } } }")));
    for (const char* protocol : {"HELD_OUT", "OFFICIAL"}) {
      EXPECT_EQ(Metrics(Records(absl::StrCat("file: '", corpus, ".records'")), protocol),
                Metrics(pickles, protocol))
          << protocol;
    }
  }
}

TEST_F(DataTest, JsonLinesRecordsAndSyntheticAreOne) {
  Run({"data", "convert", "--config=tiny.textproto", "--output=a.records"});
  const std::string said = Run({"data", "convert", "--input=a.records", "--output=a.jsonl"});
  EXPECT_THAT(said, HasSubstr("class_names: \"class_0\" class_names: \"class_1\""));
  Run({"data", "convert", "--input=a.jsonl", "--output=b.records"});
  const std::string generated =
      Metrics("[type.googleapis.com/cmerc.SyntheticOptions] {}", "HELD_OUT");
  for (const char* file : {"a.records", "a.jsonl", "b.records"}) {
    EXPECT_EQ(Metrics(Records(absl::StrCat("file: '", file, "'")), "HELD_OUT"), generated) << file;
  }
}

TEST_F(DataTest, EvaluateReadsRecords) {
  Run({"data", "convert", "--config=tiny.textproto", "--output=a.records"});
  const std::string set = "--set=data { dataset { " + Records("file: 'a.records'") + " } }";
  Run({"train", "--config=tiny.textproto", set, "--output=run"});
  EXPECT_THAT(Run({"evaluate", "--checkpoint=run/selected.pth"}),
              HasSubstr("Synthetic, 3 classes: class_0 class_1 class_2"));
  Run({"difficulty", "--checkpoint=run/selected.pth", "--output=difficulty.json"});
}

TEST_F(DataTest, Describe) {
  EXPECT_THAT(
      Run({"data", "describe", "--input=" + Absolute("tests/datasets/data/conversations.jsonl")}),
      testing::AllOf(StartsWith("data  conversations\n\nsplit  conversations  utterances"),
                     HasSubstr("warning: valid has no utterance of class anger, neutral\n"),
                     HasSubstr("text          2        3")));
  EXPECT_THAT(Run({"data", "describe", "--config=tiny.textproto"}),
              HasSubstr("train              4"));
}

TEST_F(DataTest, WarningsOfTheDataAreSaidByEveryCommand) {
  WriteFile(folder_ + "/odd.jsonl",
            absl::StrReplaceAll(ReadFile("tests/datasets/data/conversations.jsonl"),
                                {{"\"neutral\"", "\"Joy\""}, {"\"anger\"", "\"xxx\""}}));
  const std::string warning = "the classes \"Joy\" (";
  EXPECT_THAT(Run({"data", "describe", "odd.jsonl"}), HasSubstr("warning: " + warning));
  const Outcome converted =
      RunCmerc({"data", "convert", "--input=odd.jsonl", "--output=odd.records"}, folder_);
  EXPECT_THAT(converted.err, HasSubstr("warning: " + warning));
  const Outcome trained =
      RunCmerc({"train", "--config=tiny.textproto", "--output=odd",
                absl::StrCat("--set=data { dataset { ", Records("file: 'odd.records'"), " } }")},
               folder_);
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.err, testing::AllOf(HasSubstr("warning: " + warning),
                                          HasSubstr("warning: the class \"xxx\" (")));
}

TEST_F(DataTest, ConvertReplacesAFileAsAWhole) {
  const std::string file = Absolute("tests/datasets/data/conversations.jsonl");
  Run({"data", "convert", "--config=tiny.textproto", "--output=x.npz"});
  const std::string old = ReadFile(folder_ + "/x.npz");
  Run({"data", "convert", "--input=" + file, "--output=x.npz", "--overwrite"});
  EXPECT_THAT(ReadFile(folder_ + "/x.npz"), StartsWith("PK\3\4"));
  EXPECT_NE(ReadFile(folder_ + "/x.npz"), old);
  const auto before = Files(folder_);
  WriteFile(folder_ + "/bad.jsonl", ReadFile(file) + "{}\n");
  EXPECT_EQ(
      RunCmerc({"data", "convert", "--input=bad.jsonl", "--output=x.npz", "--overwrite"}, folder_)
          .exit_code,
      2);
  std::filesystem::remove(folder_ + "/bad.jsonl");
  EXPECT_EQ(Files(folder_), before);
}

// What docs/your_own_data.md shows: the text of the fenced blocks with this heading, one after the
// other.
std::string Block(const std::string& heading) {
  const std::string page = ReadFile("docs/your_own_data.md");
  const std::string begin = "\n```" + heading + "\n";
  const size_t start = page.find(begin);
  if (start == std::string::npos) {
    ADD_FAILURE() << "docs/your_own_data.md has no block " << heading;
    return "";
  }
  const size_t first = start + begin.size();
  return page.substr(first, page.find("```\n", first) - first);
}

TEST_F(DataTest, TheGuideShowsTheExample) {
  EXPECT_EQ(Block("python write_corpus.py"), ReadFile("examples/own_data/write_corpus.py"));
  EXPECT_EQ(Block("textproto own.textproto"), ReadFile("examples/own_data/own.textproto"));
}

TEST_F(DataTest, TheConversationInTheGuideCanBeRead) {
  // Laid out over several lines there, for the reader.
  std::string line = Block("json");
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::string lines;
  for (const char* split : {"train", "valid", "test"}) {
    absl::StrAppend(&lines,
                    absl::StrReplaceAll(line, {{"\"train\"", absl::StrCat("\"", split, "\"")},
                                               {"\"d1\"", absl::StrCat("\"", split, "\"")}}),
                    "\n");
  }
  WriteFile(folder_ + "/corpus.jsonl", lines);
  WriteFile(folder_ + "/own.textproto", ReadFile("examples/own_data/own.textproto"));
  EXPECT_THAT(Run({"data", "describe", "--input=corpus.jsonl"}),
              HasSubstr("warning: leak: train and test share 1 conversations"));
  Run({"data", "convert", "--input=corpus.jsonl", "--output=corpus.records"});
  Run({"train", "--config=own.textproto", "--set=training { epochs: 1 }", "--output=run"});
}

// Tables of five conversations of three utterances, for pickles.
template <typename Entry>
python::Value Table(const Entry& entry) {
  std::vector<std::pair<python::Value, python::Value>> entries;
  for (int64_t c = 0; c < 5; ++c) {
    std::vector<python::Value> list;
    for (int64_t u = 0; u < 3; ++u) list.push_back(entry(c, u));
    entries.emplace_back(python::Text(absl::StrCat("dlg", c)), python::List(list));
  }
  return python::Dict(entries);
}

python::Value Ids() {
  return Table([](int64_t c, int64_t u) { return python::Text(absl::StrCat("dlg", c, "_", u)); });
}
python::Value Speakers() {
  return Table([](int64_t, int64_t u) { return python::Text(u == 1 ? "Bob" : "Ann"); });
}
python::Value Labels() {
  return Table([](int64_t c, int64_t u) { return python::Number((c + u) % 4); });
}
python::Value Sentences() {
  return Table([](int64_t c, int64_t u) {
    return python::Text(absl::StrCat("Line ", u, " of dialog ", c));
  });
}
python::Value Features(int64_t width) {
  return Table([width](int64_t c, int64_t u) {
    std::vector<python::Value> values;
    for (int64_t k = 0; k < width; ++k) {
      values.push_back(python::Real(0.5 + static_cast<double>(c + u * k)));
    }
    return python::List(values);
  });
}

// features.pkl and audio.pkl of the guide: a layout that nobody has told of.
void WriteFilesOfTheGuide(const std::string& folder) {
  WriteFile(folder + "/features.pkl",
            python::Pickle(python::Tuple({Ids(), Speakers(), Labels(), Features(6), Sentences(),
                                          python::Texts({"dlg1", "dlg0", "dlg4"}),
                                          python::Texts({"dlg2"}), python::Texts({"dlg3"})})));
  WriteFile(folder + "/audio.pkl", python::Pickle(Features(4)));
}

// Files of a known layout where the table of a modality is empty, or where something else stands.
TEST_F(DataTest, ModalitiesThatAreNotChosenNeedNotBeThere) {
  const std::vector<std::pair<std::string, std::vector<python::Value>>> files = {
      {"first.pkl", {Features(6), python::Dict({}), Features(3)}},
      {"second.pkl", {Features(6), Features(4), python::None()}},
      {"third.pkl", {Features(6), python::Text("no audio"), Features(3)}}};
  for (const auto& [name, features] : files) {
    SCOPED_TRACE(name);
    std::vector<python::Value> fields = {Ids(), Speakers(), Labels()};
    fields.insert(fields.end(), features.begin(), features.end());
    fields.insert(fields.end(),
                  {Sentences(), python::Texts({"dlg1", "dlg0", "dlg4"}), python::Texts({"dlg3"})});
    WriteFile(folder_ + "/" + name, python::Pickle(python::Tuple(fields)));
    const std::string set = absl::StrCat(
        "--set=data { dataset { [type.googleapis.com/cmerc.OfficialPicklesOptions] { "
        "features_file: '",
        name, "' valid_fraction: 0.4 } }");
    const std::vector<std::string> describe = {"data", "describe", "--config=tiny.textproto"};
    const auto with = [&](const std::string& one) {
      std::vector<std::string> args = describe;
      args.push_back(one);
      return args;
    };
    EXPECT_THAT(Run(with(set + " modalities: 'text' }")),
                testing::AllOf(HasSubstr("text          6"), testing::Not(HasSubstr("audio")),
                               testing::Not(HasSubstr("visual"))));
    Run({"train", "--config=tiny.textproto", "--output=run_" + name, set + " modalities: 'text' }",
         "--set=training { epochs: 1 }"});
    const Outcome all = RunCmerc(with(set + " }"), folder_);
    EXPECT_EQ(all.exit_code, 2);
    if (name == "first.pkl") {
      EXPECT_THAT(all.err,
                  HasSubstr("first.pkl: audio (data[4]) has nothing for any conversation"));
    } else {
      EXPECT_THAT(all.err, HasSubstr("none of the layouts that are known: of 9 fields there is "
                                     "IEMOCAP features, which has the "));
      EXPECT_THAT(all.err, HasSubstr("if the rest is right, data { modalities } chooses the "
                                     "others. It holds tuple of 9"));
    }
  }
}

TEST_F(DataTest, TheFilesOfTheGuide) {
  WriteFilesOfTheGuide(folder_);
  const std::string said = Run({"data", "describe", "features.pkl", "audio.pkl"});
  EXPECT_EQ(said, Block("text describe files"));
  // What it prints to be copied is a config.
  const std::string config = said.substr(said.find("\ndata {"));
  EXPECT_THAT(Run({"data", "describe", "--config=tiny.textproto", "--set=" + config}),
              testing::AllOf(HasSubstr("train              3"), HasSubstr("text          6"),
                             HasSubstr("audio         4")));
}

TEST_F(DataTest, TheScriptOfTheGuide) {
  if (std::system("python3 -c '' > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "python3 is missing, so the script of docs/your_own_data.md is not run";
  }
  const std::string script = Absolute("examples/own_data/write_corpus.py");
  ASSERT_EQ(std::system(absl::StrCat("cd ", folder_, " && python3 ", script).c_str()), 0);
  WriteFile(folder_ + "/own.textproto", ReadFile("examples/own_data/own.textproto"));
  EXPECT_THAT(Run({"data", "describe", "--input=corpus.jsonl"}), HasSubstr(Block("text describe")));
  Run({"data", "convert", "--input=corpus.jsonl", "--output=corpus.records"});
  EXPECT_THAT(Run({"train", "--config=own.textproto", "--output=run"}),
              HasSubstr("Test split, epoch "));
}

}  // namespace
}  // namespace cmerc
