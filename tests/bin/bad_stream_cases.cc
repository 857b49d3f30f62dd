#include "tests/bin/bad_stream_cases.h"

#include "absl/strings/str_cat.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using Args = std::vector<std::string>;

Args Stream(const Args& more) {
  Args args = {"predict", "--checkpoint=run/selected.pth", "--stream"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

Args TrainOnThePast(const std::string& more) {
  return {"train", "--config=tiny.textproto", "--output=out/of/this",
          absl::StrCat("--set=data { context: PAST } ", more)};
}

}  // namespace

void AddStreams(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"StreamOfWholeConversations",
       Stream({"--input=plain.jsonl"}),
       {"plain.jsonl, line 1: utterances makes a whole conversation of the line",
        "without --stream whole conversations are predicted"}},
      {"StreamWithoutConversation",
       Stream({"--input=nameless_utterance.jsonl"}),
       {"nameless_utterance.jsonl, line 1: has no \"conversation\", want the id of one",
        "a line is {\"conversation\": \"d1\", ", "--on_error=SKIP"}},
      {"StreamWithoutSpeaker",
       Stream({"--input=silent_utterance.jsonl"}),
       {"silent_utterance.jsonl, line 1: has no \"speaker\", want a name"}},
      {"StreamWithANumberThatIsNone",
       Stream({"--input=nan_utterance.jsonl"}),
       {"nan_utterance.jsonl, line 2: features.text[1] is NaN, want a number that is finite in "
        "float32"}},
      {"StreamOfOtherWidth",
       Stream({"--input=narrow_utterance.jsonl"}),
       {"narrow_utterance.jsonl, line 1: conversation d1: features.text has 1 numbers an "
        "utterance, "
        "want 32, as in training"}},
      {"StreamWithAKeyOfAnswers",
       Stream({"--input=taken_utterance.jsonl"}),
       {"taken_utterance.jsonl, line 1: conversation d1: restarted is a key that answers have for "
        "themselves"}},
      {"StreamThatEndsHalfway",
       Stream({"--input=half_end.jsonl"}),
       {"half_end.jsonl, line 1: end is \"yes\", want true or false"}},
      {"StreamOfNothing", Stream({}), {"standard input has no utterance to predict"}},
      {"StreamIntoAFile",
       Stream({"--input=plain.jsonl", "--output=answers.jsonl"}),
       {"--output=answers.jsonl: --stream answers at once, on standard output", "> answers.jsonl"}},
      {"StreamOfASplit",
       Stream({"--split=test"}),
       {"--split says which dataset to predict, and --stream takes what comes"}},
      {"StreamFromAFolder", Stream({"--input=run"}), {"--input=run is a folder"}},
      {"StreamFromNowhere",
       Stream({"--input=nowhere.jsonl"}),
       {"--input=nowhere.jsonl: No such file or directory"}},
      {"StreamOfNoConversations",
       Stream({"--max_open=0"}),
       {"--max_open=0, must be an integer from 1 to 1000000000"}},
      {"StreamThatRestsForWords",
       Stream({"--idle_s=ten"}),
       {"--idle_s=ten, must be an integer from 1"}},
      {"IdleWithoutStream",
       {"predict", "--checkpoint=run/selected.pth", "--input=plain.jsonl", "--idle_s=5"},
       {"--idle_s is about --stream; add that, or leave it out"}},
      {"ThePastAndAMeanOverPadding",
       TrainOnThePast("calibration { masked_mean: PADDED_ROWS }"),
       {"calibration.masked_mean = PADDED_ROWS, must be REAL_UTTERANCES with data.context: PAST"}},
      {"ThePastAsTheOfficialCode",
       TrainOnThePast(
           "backbone { [type.googleapis.com/cmerc.GruOptions] { semantics: OFFICIAL } }"),
       {"backbone: cmerc.GruOptions: semantics = OFFICIAL, must be CORRECTED with data.context: "
        "PAST"}},
      {"ThePastNormalizedWithTheFuture",
       TrainOnThePast("backbone { [type.googleapis.com/cmerc.M3NetOptions] { norm: LN2 } }"),
       {"backbone: cmerc.M3NetOptions: norm = LN2, must be BN, LN or NO_NORM with data.context: "
        "PAST"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void WriteBadUtterances(const std::string& folder) {
  const auto write = [&](const std::string& name, const std::string& contents) {
    WriteFile(absl::StrCat(folder, "/", name), contents);
  };
  const std::string features = R"("features": {"text": [0.5]}})";
  write("nameless_utterance.jsonl", absl::StrCat(R"({"speaker": "A", )", features, "\n"));
  write("silent_utterance.jsonl", absl::StrCat(R"({"conversation": "d1", )", features, "\n"));
  write("narrow_utterance.jsonl",
        absl::StrCat(R"({"conversation": "d1", "speaker": "A", )", features, "\n"));
  write("nan_utterance.jsonl",
        "\n{\"conversation\": \"d1\", \"speaker\": \"A\", \"features\": {\"text\": [0.5, NaN]}}\n");
  write("taken_utterance.jsonl",
        absl::StrCat(R"({"conversation": "d1", "speaker": "A", "restarted": false, )", features,
                     "\n"));
  write("half_end.jsonl", "{\"conversation\": \"d1\", \"end\": \"yes\"}\n");
}

}  // namespace cmerc
