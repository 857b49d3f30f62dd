#include "tests/bin/bad_predict_cases.h"

#include "absl/strings/str_cat.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using Args = std::vector<std::string>;

Args Predict(const Args& more) {
  Args args = {"predict", "--checkpoint=run/selected.pth"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

// `n` numbers.
std::string Numbers(int n) {
  std::string numbers = "[0";
  for (int i = 1; i < n; ++i) absl::StrAppend(&numbers, ", ", i);
  return numbers + "]";
}

// A conversation as `cmerc predict --input` reads it, each speaker with the same features.
std::string ConversationLine(const std::vector<std::string>& speakers,
                             const std::string& features) {
  std::string utterances;
  for (const std::string& speaker : speakers) {
    absl::StrAppend(&utterances, utterances.empty() ? "" : ", ", "{\"speaker\": \"", speaker,
                    "\", \"features\": {", features, "}}");
  }
  return absl::StrCat("{\"id\": \"d1\", \"utterances\": [", utterances, "]}\n");
}

}  // namespace

void AddPredictInputs(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"NoCheckpointForPredict",
       {"predict", "--input=narrow.jsonl"},
       {"--checkpoint=FILE is missing", "selected.pth"}},
      {"CheckpointFromPythonForNewConversations",
       {"predict", "--checkpoint=python.pth", "--input=narrow.jsonl"},
       {"python.pth holds weights alone", "want a file of `cmerc train`",
        "--config=FILE, without --input"}},
      {"CheckpointFromPythonToPredictWithoutConfig",
       {"predict", "--checkpoint=python.pth"},
       {"python.pth holds weights alone", "say how they were trained: --config="}},
      {"PredictWithOptionsOfAnotherModel",
       Predict({"--input=narrow.jsonl",
                "--set=backbone { [type.googleapis.com/cmerc.M3NetOptions] { graph_width: 16 } }"}),
       {"run/selected.pth: these are not the weights of this model"}},
      {"MissingInput",
       Predict({"--input=nowhere.jsonl"}),
       {"--input=nowhere.jsonl: cannot be opened: No such file or directory"}},
      {"FolderAsInput", Predict({"--input=run"}), {"--input=run: is a folder, want a file"}},
      {"PickleAsInput",
       Predict({"--input=good.pkl"}),
       {"--input=good.pkl: is a Python pickle, want JSON Lines, a record file or an .npz"}},
      {"JsonListAsInput",
       Predict({"--input=list.json"}),
       {"--input=list.json: is one JSON list, want a conversation a line; in Python: import "
        "json; "}},
      {"MeldCsvAsInput",
       Predict({"--input=meld.csv"}),
       {"--input=meld.csv: is a CSV file with the columns of MELD, want JSON Lines, a record file "
        "or an .npz",
        "it has speakers, labels and sentences but no features"}},
      {"PredictionsAsInput",
       Predict({"--input=run/test_predictions.jsonl"}),
       {"run/test_predictions.jsonl, line 1: labels is no field of a conversation",
        "--on_error=SKIP leaves out what cannot be predicted",
        "0 conversations before it were predicted"}},
      {"CheckpointAsInput",
       Predict({"--input=run/selected.pth"}),
       {"--input=run/selected.pth: is a file of torch.save(), want JSON Lines"}},
      {"InputWithUnknownField",
       Predict({"--input=run/metrics.jsonl"}),
       {"run/metrics.jsonl, line 1: epoch is no field of this format; leave it out",
        "--on_error=SKIP"}},
      {"TruncatedLine",
       Predict({"--input=cut.jsonl"}),
       {"cut.jsonl, line 1: ends before its JSON does"}},
      {"NarrowFeatures",
       Predict({"--input=narrow.jsonl", "--output=narrow_predicted.jsonl"}),
       {"narrow.jsonl, line 1: conversation d1: features.text has 1 numbers an utterance, want 32",
        "--on_error=SKIP"}},
      {"MissingModality",
       Predict({"--input=text_alone.jsonl"}),
       {"text_alone.jsonl, line 1: conversation d1: features.audio is missing, want 16 numbers",
        "there are text"}},
      {"MoreSpeakersThanTheModelKnows",
       Predict({"--input=crowd.jsonl"}),
       {"crowd.jsonl, line 1: conversation d1: there are 3 speakers (A, B, C)", "weights for 2",
        "train it on data with more"}},
      {"NanInALine",
       Predict({"--input=not_finite.jsonl"}),
       {"not_finite.jsonl, line 1: ", "utterances[0].features.text[0] is NaN"}},
      {"InputAndConfig",
       Predict({"--input=narrow.jsonl", "--config=tiny.textproto"}),
       {"--config says which dataset to predict, and --input=narrow.jsonl which conversations; "
        "keep one"}},
      {"InputAndSplit",
       Predict({"--input=narrow.jsonl", "--split=test"}),
       {"--split says which dataset to predict, and --input=narrow.jsonl which conversations; keep "
        "one"}},
      {"UnknownOnError",
       Predict({"--input=narrow.jsonl", "--on_error=skip"}),
       {"--on_error=skip, must be FAIL or SKIP"}},
      {"OnErrorWithoutInput",
       Predict({"--on_error=SKIP"}),
       {"--on_error is about the conversations of --input"}},
      {"PredictUnknownSplit",
       Predict({"--split=dev"}),
       {"--split=dev, must be train, valid or test"}},
      {"PredictEmptySplit",
       Predict({"--split=valid", "--set=data { protocol: OFFICIAL }"}),
       {"--split=valid: this split is empty under the protocol of the config (data.protocol)"}},
      {"PredictWithBadSet",
       Predict({"--input=narrow.jsonl", "--set=training { batch_size: 0 }"}),
       {"the config in run/selected.pth is not a valid config", "training.batch_size = 0"}},
      {"PredictIntoAFolder",
       Predict({"--input=narrow.jsonl", "--output=run"}),
       {"--output=run: this is a folder; choose the name of a file"}},
      {"PredictIntoAMissingFolder",
       Predict({"--output=nowhere/predicted.jsonl"}),
       {"cannot write into nowhere", "create that folder"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void WriteBadConversations(const std::string& folder) {
  const auto write = [&](const std::string& name, const std::string& contents) {
    WriteFile(absl::StrCat(folder, "/", name), contents);
  };
  const std::string text = absl::StrCat("\"text\": ", Numbers(32));
  const std::string rest =
      absl::StrCat(", \"audio\": ", Numbers(16), ", \"visual\": ", Numbers(16));
  write("narrow.jsonl", ConversationLine({"A", "B"}, "\"text\": [1]" + rest));
  write("text_alone.jsonl", ConversationLine({"A", "B"}, text));
  write("crowd.jsonl", ConversationLine({"A", "B", "C"}, text + rest));
  write("not_finite.jsonl", ConversationLine({"A"}, "\"text\": [NaN]"));
  const std::string line = ConversationLine({"A"}, text + rest);
  write("cut.jsonl", line.substr(0, line.size() / 2) + "\n");
}

}  // namespace cmerc
