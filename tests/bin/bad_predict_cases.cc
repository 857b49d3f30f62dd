#include "tests/bin/bad_predict_cases.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using Args = std::vector<std::string>;

Args Predict(const Args& more) {
  Args args = {"predict", "--checkpoint=run/selected.pth"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

Args EvaluateInput(const Args& more) {
  Args args = {"evaluate", "--checkpoint=run/selected.pth"};
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
      {"SetsInPercent",
       Predict({"--input=narrow.jsonl", "--sets=90"}),
       {"--sets=90, must be a number above 0 and below 1: how often the true class shall be in the "
        "set",
        "did you mean --sets=0.9?"}},
      {"SetsWithAPercentSign",
       EvaluateInput({"--sets=95%"}),
       {"--sets=95%, must be a number above 0 and below 1", "did you mean --sets=0.95?"}},
      {"SetsThatMissNothing",
       EvaluateInput({"--sets=1"}),
       {"--sets=1, must be a number above 0 and below 1"}},
      {"SetsThatAreNoNumber",
       Predict({"--sets=nan"}),
       {"--sets=nan, must be a number above 0 and below 1"}},
      {"UnknownMethodOfSets",
       EvaluateInput({"--sets=0.9", "--sets_method=class-conditional"}),
       {"--sets_method=class-conditional, must be one of: split, class_conditional, adaptive",
        "did you mean class_conditional?"}},
      {"MethodOfSetsWithoutCoverage",
       Predict({"--input=narrow.jsonl", "--sets_method=adaptive"}),
       {"--sets_method=adaptive says how the sets of --sets=COVERAGE are made; add --sets=0.9"}},
      {"AbstainingInPercent",
       EvaluateInput({"--abstain_below=50"}),
       {"--abstain_below=50, must be a number above 0 and below 1: the probability that an answer "
        "must have at least",
        "did you mean --abstain_below=0.5?"}},
      {"SetsOfACheckpointWithoutScores",
       {"predict", "--checkpoint=run/last.pth", "--input=plain.jsonl", "--sets=0.9"},
       {"--sets: run/last.pth carries no scores of a validation split, which sets are made from: "
        "last.pth never does; take selected.pth of the same run"}},
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
       {"run/test_predictions.jsonl, line 1: utterances[0] has no \"features\"",
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
      {"ModalityUnderAnotherName",
       Predict({"--input=other_name.jsonl"}),
       {"other_name.jsonl, line 1: conversation d1: features.audio is missing, want 16 numbers",
        "there are text, speech"}},
      {"ModalityMisspeltInAnUtterance",
       Predict({"--input=misspelt_once.jsonl"}),
       {"misspelt_once.jsonl, line 1: conversation d1: utterances[1].features.audio is missing, "
        "and "
        "adio, which the model does not know, is there in its place",
        "rename it"}},
      {"NoModalityOfTheModel",
       Predict({"--input=featureless.jsonl"}),
       {"featureless.jsonl, line 1: ", "utterances[0].features is missing or empty"}},
      {"FeaturesUnderAnotherKey",
       Predict({"--input=feature.jsonl"}),
       {"feature.jsonl, line 1: utterances[0] has no \"features\"; is it \"feature\"?"}},
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
      {"ShardOfTooFew",
       Predict({"--input=plain.jsonl", "--shard=3/2"}),
       {"--shard=3/2, must be I/N, the I-th of N parts with I from 1 to N: --shard=1/4"}},
      {"ShardsCountedFromZero",
       Predict({"--input=plain.jsonl", "--shard=0/4"}),
       {"--shard=0/4, must be I/N, the I-th of N parts with I from 1 to N"}},
      {"ShardOfNone", Predict({"--split=test", "--shard=0/0"}), {"--shard=0/0, must be I/N"}},
      {"ShardInWords", Predict({"--shard=x/y"}), {"--shard=x/y, must be I/N"}},
      {"ShardOfAStream",
       Predict({"--stream", "--shard=1/2"}),
       {"--shard is about whole conversations, and --stream answers utterances as they come; keep "
        "one"}},
      {"ShardOfStandardInput",
       Predict({"--input=-", "--shard=1/2"}),
       {"--shard goes over a part of the conversations, and those of standard input come once; "
        "write them to a file"}},
      {"ShardAsATable",
       Predict({"--input=plain.jsonl", "--shard=1/2", "--output=first.csv"}),
       {"--shard takes answers apart line by line, and --output=first.csv is a table", ".jsonl"}},
      {"ResumeToStandardOutput",
       Predict({"--input=plain.jsonl", "--resume"}),
       {"--resume goes on with a file of answers; name it: --output=NAME.jsonl"}},
      {"ResumedPredictionAndOverwrite",
       Predict({"--input=plain.jsonl", "--resume", "--overwrite", "--output=answers.jsonl"}),
       {"--resume goes on with what is there, and --overwrite replaces it; keep one"}},
      {"ResumeOfAStream",
       Predict({"--stream", "--resume"}),
       {"--resume is about whole conversations, and --stream answers utterances"}},
      {"ResumeATable",
       Predict({"--resume", "--output=answers.csv"}),
       {"--resume takes answers apart line by line, and --output=answers.csv is a table"}},
      {"ResumeWhatIsNoPrediction",
       Predict({"--input=plain.jsonl", "--resume", "--output=run/metrics.jsonl"}),
       {"--output=run/metrics.jsonl: the file that is there", "and is not gone on with",
        "choose another name, or move it away"}},
      {"PredictIntoAFolder",
       Predict({"--input=narrow.jsonl", "--output=run"}),
       {"--output=run: this is a folder; choose the name of a file"}},
      {"PredictIntoAMissingFolder",
       Predict({"--output=nowhere/predicted.jsonl"}),
       {"cannot write into nowhere", "create that folder"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddNightlyPredictions(std::vector<BadInput>* cases) {
  const std::string place = ", line 1: conversation d1: ";
  const std::vector<BadInput> more = {
      {"MaxSkippedWithoutSkip",
       Predict({"--input=plain.jsonl", "--max_skipped=3"}),
       {"--max_skipped is about what --on_error=SKIP leaves out; add that, or leave it out"}},
      {"MaxSkippedInWords",
       Predict({"--input=plain.jsonl", "--on_error=SKIP", "--max_skipped=few"}),
       {"--max_skipped=few, must be a number of conversations, such as 10, or a share of them"}},
      {"MaxSkippedOfMoreThanAll",
       Predict({"--input=plain.jsonl", "--on_error=SKIP", "--max_skipped=150%"}),
       {"--max_skipped=150%, must be a number", "0% to 100%, such as 2.5%"}},
      {"MaxSkippedAsAFraction",
       Predict({"--input=plain.jsonl", "--on_error=SKIP", "--max_skipped=0.05"}),
       {"--max_skipped=0.05, must be a number of conversations", "such as 2.5%"}},
      {"UnknownKeysToDrop",
       Predict({"--input=plain.jsonl", "--unknown_keys=drop"}),
       {"--unknown_keys=drop, must be PASS or FAIL"}},
      {"UnknownKeysOfADataset",
       Predict({"--unknown_keys=FAIL"}),
       {"--unknown_keys is about the conversations of --input"}},
      {"UnknownKeyWhereNoneMayBe",
       Predict({"--input=taken.jsonl", "--unknown_keys=FAIL"}),
       {"taken.jsonl, line 1: utterances[0].confidence is no field of this format; leave it out",
        "metadata"}},
      {"KeyThatTheAnswerNeeds",
       Predict({"--input=taken.jsonl"}),
       {absl::StrCat("taken.jsonl", place,
                     "utterances[0].confidence is a key that answers have for themselves"),
        "rename it, or put it into \"metadata\""}},
      {"NanInMetadata",
       Predict({"--input=nan_metadata.jsonl"}),
       {"nan_metadata.jsonl, line 1: metadata is NaN, want a value of JSON; replace the value"}},
      {"UtteranceIdOfPandas",
       Predict({"--input=float_id.jsonl"}),
       {"float_id.jsonl, line 1: utterances[0].id is 17.0, want a string or an integer"}},
      {"LastCheckpointThatMustBeCalibrated",
       {"predict", "--checkpoint=run/last.pth", "--input=plain.jsonl", "--require_calibrated"},
       {"--require_calibrated: run/last.pth carries no temperature",
        "take selected.pth of the same run"}},
      {"CheckpointFromPythonThatMustBeCalibrated",
       {"predict", "--checkpoint=python.pth", "--config=tiny.textproto", "--require_calibrated"},
       {"--require_calibrated: python.pth carries no temperature", "or Python saved it"}},
      {"NobodyOnStandardInput",
       Predict({"--input=-"}),
       {"standard input is empty: there is no conversation to predict"}},
      {"BlankLinesToPredict",
       Predict({"--input=blank.jsonl", "--output=predicted.jsonl"}),
       {"blank.jsonl is empty: there is no conversation to predict"}},
      {"PredictIntoExcel",
       Predict({"--input=plain.jsonl", "--output=predicted.xlsx"}),
       {"--output=predicted.xlsx: predictions are JSON Lines (NAME.jsonl) or a table (NAME.csv)"}},
      {"PredictIntoAPackedFile",
       Predict({"--input=plain.jsonl", "--output=predicted.csv.gz"}),
       {"--output=predicted.csv.gz: predictions are JSON Lines", "choose one of these names"}},
      {"EvaluateConversationsWithoutLabels",
       EvaluateInput({"--input=plain.jsonl"}),
       {"no utterance of plain.jsonl has a label, and scores need some, want a class of the "
        "model: class_0, class_1, class_2",
        "`cmerc predict` answers without"}},
      {"EvaluateConversationsWithAMisspeltLabel",
       EvaluateInput({"--input=misspelt.jsonl"}),
       {absl::StrCat("misspelt.jsonl", place,
                     "utterances[0].label is missing, want a class of the "),
        "is it \"lable\"?"}},
      {"EvaluateConversationsOfOtherClasses",
       EvaluateInput({"--input=other_labels.jsonl"}),
       {absl::StrCat("other_labels.jsonl", place, "utterances[0].label is \"Class_0\""),
        "did you mean \"class_0\"?"}},
      {"EvaluateConversationsWithNumbersAsLabels",
       EvaluateInput({"--input=numbers.jsonl"}),
       {absl::StrCat("numbers.jsonl", place, "utterances[0].label is \"0\""),
        "numbers say nothing without a list of names"}},
      {"EvaluateAConversationTwice",
       EvaluateInput({"--input=said_twice.jsonl"}),
       {"said_twice.jsonl, line 2: conversation d1: its id is that of said_twice.jsonl",
        "scored once"}},
      {"EvaluateAMissingInput",
       EvaluateInput({"--input=nowhere.jsonl"}),
       {"--input=nowhere.jsonl: cannot be opened: No such file or directory"}},
      {"EvaluateInputAndSplit",
       EvaluateInput({"--input=plain.jsonl", "--split=valid"}),
       {"--split says which dataset to score, and --input=plain.jsonl which conversations"}},
      {"EvaluateInputWithACheckpointFromPython",
       {"evaluate", "--checkpoint=python.pth", "--input=plain.jsonl"},
       {"python.pth holds weights alone", "cmerc predict (or evaluate)", "without --input"}},
      {"EvaluateATestSplitThatIsNotThere",
       EvaluateInput({"--set=data { dataset { [type.googleapis.com/cmerc.RecordsOptions] { file: "
                      "'no_test.jsonl' } } }"}),
       {"--split=test: the dataset has no test split; name another split", "--input=FILE"}},
      {"NoValidationSplit",
       {"train", "--config=tiny.textproto", "--output=out/of/this",
        "--set=data { dataset { [type.googleapis.com/cmerc.RecordsOptions] { file: "
        "'no_valid.jsonl' } } }"},
       {"the validation split of the dataset is empty", "data { folds: 4 }"}},
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
  write("other_name.jsonl",
        ConversationLine({"A", "B"}, absl::StrCat(text, ", \"speech\": ", Numbers(16))));
  write("misspelt_once.jsonl",
        absl::StrReplaceAll(ConversationLine({"A", "B"}, text + rest),
                            {{absl::StrCat("\"B\", \"features\": {", text, ", \"audio\""),
                              absl::StrCat("\"B\", \"features\": {", text, ", \"adio\"")}}));
  write("featureless.jsonl", ConversationLine({"A", "B"}, "\"text\": null"));
  write("feature.jsonl", absl::StrReplaceAll(ConversationLine({"A"}, text + rest),
                                             {{"\"features\"", "\"feature\""}}));
  write("crowd.jsonl", ConversationLine({"A", "B", "C"}, text + rest));
  write("not_finite.jsonl", ConversationLine({"A"}, "\"text\": [NaN]"));
  const std::string line = ConversationLine({"A"}, text + rest);
  write("cut.jsonl", line.substr(0, line.size() / 2) + "\n");
  // Good ones, with something more.
  const auto with = [](const std::string& text, const std::string& place, const std::string& more) {
    return absl::StrReplaceAll(text, {{place, absl::StrCat(more, place)}});
  };
  const std::string speaker = "\"speaker\"", id = "\"id\"";
  const std::string labelled = with(line, speaker, "\"label\": \"class_0\", ");
  write("plain.jsonl", line);
  write("misspelt.jsonl", with(line, speaker, "\"lable\": \"class_0\", "));
  write("taken.jsonl", with(line, speaker, "\"confidence\": 0.5, "));
  write("nan_metadata.jsonl", with(line, id, "\"metadata\": {\"score\": NaN}, "));
  write("float_id.jsonl", with(line, speaker, "\"id\": 17.0, "));
  write("other_labels.jsonl", with(line, speaker, "\"label\": \"Class_0\", "));
  write("numbers.jsonl", with(line, speaker, "\"label\": 0, "));
  write("said_twice.jsonl", labelled + labelled);
  const auto in_split = [&](const std::string& name, const std::string& split, int label) {
    return absl::StrReplaceAll(
        with(ConversationLine({"A", "B"}, text + rest), speaker,
             absl::StrCat("\"label\": \"class_", label, "\", ")),
        {{"\"d1\"", absl::StrCat("\"", name, "\", \"split\": \"", split, "\"")}});
  };
  std::string train;
  for (int i = 0; i < 3; ++i) train += in_split(absl::StrCat("t", i), "train", i);
  write("no_test.jsonl", train + in_split("v", "valid", 1));
  write("no_valid.jsonl", train + in_split("v", "test", 1));
}

}  // namespace cmerc
