#include "tests/bin/bad_record_cases.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/bin/files.h"
#include "tests/bytes/packed.h"

namespace cmerc {
namespace {

using Args = std::vector<std::string>;

// Trains on a file of conversations.
Args TrainOn(const std::string& file, const std::string& options = "") {
  return {"train", "--config=tiny.textproto", "--output=out/of/this",
          absl::StrCat("--set=data { dataset { [type.googleapis.com/cmerc.RecordsOptions] { ",
                       file.empty() ? "" : absl::StrCat("file: '", file, "' "), options, " } } }")};
}

// Three conversations of two utterances, a line each; a test spoils one thing.
std::string GoodLines() {
  std::string lines;
  for (const char* split : {"train", "valid", "test"}) {
    absl::StrAppend(&lines, "{\"id\": \"", split, "\", \"split\": \"", split,
                    "\", \"utterances\": [{\"speaker\": \"A\", \"label\": \"joy\", "
                    "\"features\": {\"text\": [1, 2]}}, {\"speaker\": \"B\", \"label\": "
                    "\"anger\", \"features\": {\"text\": [3, 4]}}]}\n");
  }
  return lines;
}

void AddDataCommands(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"DataWithoutWord",
       {"data", "--input=good.jsonl"},
       {"what to do with the data is missing", "`cmerc data describe` or `cmerc data convert`"}},
      {"DataWithUnknownWord",
       {"data", "descibe", "--input=good.jsonl"},
       {"unknown word \"descibe\"", "`cmerc data describe`"}},
      {"DescribeNothing", {"data", "describe"}, {"--config=FILE or --input=FILE is missing"}},
      {"DescribeTwoThings",
       {"data", "describe", "--config=tiny.textproto", "--input=good.jsonl"},
       {"--config and --input are both given, want one"}},
      {"DescribeWithOutput",
       {"data", "describe", "--input=good.jsonl", "--output=x.npz"},
       {"--output is of `cmerc data convert`"}},
      {"SetWithInput",
       {"data", "describe", "--input=good.jsonl", "--set=data {}"},
       {"--set changes a config", "give --config"}},
      {"DescribeMissingFile",
       {"data", "describe", "--input=nowhere.jsonl"},
       {"--input: cmerc.RecordsOptions: nowhere.jsonl: cannot be opened: No such file"}},
      {"DescribeFolder", {"data", "describe", "--input=run"}, {"run: is a folder, want a file"}},
      {"DescribeConfigThatIsNone",
       {"data", "describe", "--config=empty"},
       {"empty is empty; write a text-format RunConfig"}},
      {"ConvertToNothing",
       {"data", "convert", "--input=good.jsonl"},
       {"--output=FILE is missing (NAME.records, NAME.jsonl or NAME.npz)"}},
      {"ConvertToUnknownFormat",
       {"data", "convert", "--input=good.jsonl", "--output=x.csv"},
       {"--output=x.csv, must end in .records, .jsonl or .npz"}},
      {"ConvertIntoMissingFolder",
       {"data", "convert", "--input=good.jsonl", "--output=nowhere/x.npz"},
       {"--output=nowhere/x.npz: cannot write into nowhere", "create that folder"}},
      {"ConvertBadFile",
       {"data", "convert", "--input=nan.jsonl", "--output=x.records"},
       {"nan.jsonl, line 2: utterances[1].features.text[0] is NaN, want a number that is finite"}},
      {"ConvertModalityThatIsAnArray",
       {"data", "convert", "--input=labels.jsonl", "--output=x.npz"},
       {"two arrays would have the name \"labels\"; rename the modality"}},

  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddRecordFiles(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"NoRecordsFile", TrainOn(""), {"data.dataset: cmerc.RecordsOptions: file is not set"}},
      {"MissingRecordsFile",
       TrainOn("nowhere.records"),
       {"nowhere.records: cannot be opened: No such file", "relative paths start at "}},
      {"PickleAsRecordsFile",
       TrainOn("good.pkl"),
       {"good.pkl: is a Python pickle, want JSON Lines, a record file or an .npz of `cmerc data "
        "convert`",
        "read by cmerc.OfficialPicklesOptions in a config"}},
      {"ListAsRecordsFile",
       TrainOn("list.json"),
       {"list.json: is one JSON list, want a conversation a line; in Python: import json; "
        "open(\"converted.jsonl\", \"w\").writelines("}},
      {"EmptyRecordsFile", TrainOn("empty"), {"empty: is empty"}},
      {"NothingButBlankLines",
       TrainOn("blank.jsonl"),
       {"blank.jsonl: there is no conversation to train on"}},
      {"TruncatedRecordsFile",
       TrainOn("truncated.records"),
       {"truncated.records, record 3: the file is truncated", "copy or convert it again"}},
      {"DamagedRecordsFile",
       TrainOn("damaged.records"),
       {"damaged.records, record 2: the file is damaged", "CRC-32"}},
      {"NanInJson",
       TrainOn("nan.jsonl"),
       {"nan.jsonl, line 2: utterances[1].features.text[0] is NaN", "replace the value"}},
      {"WidthsInJson",
       TrainOn("widths.jsonl"),
       {"widths.jsonl, line 3: utterances[1].features.text has 3 values, want 2 as in "
        "utterances[0]"}},
      {"TwoExtractorsInJson",
       TrainOn("extractors.jsonl"),
       {"extractors.jsonl, line 3: extractors.text is \"bert 2\", want \"bert 1\" as of the others",
        "extract all with the same"}},
      {"ControlCharactersInJson",
       TrainOn("escape.jsonl"),
       {"escape.jsonl, line 1: split is \"\\x1b[2Jtrain\", want train, valid or test"}},
      {"DeviceAsRecordsFile",
       TrainOn("/dev/zero"),
       {"/dev/zero: is a pipe or a device, want a file; write what comes out of it to one"}},
      {"PrettyJson",
       TrainOn("pretty.jsonl"),
       {"pretty.jsonl, line 1: ends before its JSON does",
        "every line must hold a whole conversation"}},
      {"NoSplitInJson",
       TrainOn("no_split.jsonl"),
       {"no_split.jsonl, line 1: split is missing, want train, valid or test"}},
      {"ConversationTwiceInJson",
       TrainOn("twice.jsonl"),
       {"twice.jsonl, line 4: id \"train\" is that of line 1 too, want each once in all splits "
        "together",
        "put its name in front: \"train_train\""}},
      {"NoLabelInJson",
       TrainOn("unlabelled.jsonl"),
       {"unlabelled.jsonl: no utterance has a label, want \"label\": the name of a class"}},
      {"NoLabelInTraining",
       TrainOn("unlabelled_train.jsonl"),
       {"no utterance of the training split has a label, and there is nothing else to learn from"}},
      {"NoLabelInValidation",
       TrainOn("unlabelled_valid.jsonl"),
       {"no utterance of the validation split has a label, and it selects the epoch",
        "data { folds: 4 }"}},
      {"NoLabelInTest",
       TrainOn("unlabelled_test.jsonl"),
       {"no utterance of the test split has a label, and it is scored",
        "`cmerc predict --input=FILE` answer them"}},
      {"MisspeltLabelInJson",
       TrainOn("lable.jsonl"),
       {"lable.jsonl, line 2: utterances[0].lable is no field of this format",
        "did you mean \"label\"?"}},
      {"LabelsFromMinusOneToOne",
       TrainOn("sentiment.jsonl"),
       {"sentiment.jsonl: the labels are -1, 0, 1, and -1 may be a class or no label",
        "name the classes in class_names, with -1 or without"}},
      {"ModalityThatNoTrainingUtteranceHas",
       TrainOn("late_audio.jsonl"),
       {"no utterance of the training split has audio; leave it out",
        "data { modalities: \"text\" }"}},
      {"MisspeltModality",
       TrainOn("texd.jsonl"),
       {"texd.jsonl, line 3: features.texd is in 2 utterances, none of which has text",
        "did you mean \"text\"?"}},
      {"LabelThatIsNoClass",
       TrainOn("good.jsonl", "class_names: 'joy' class_names: 'angry'"),
       {"good.jsonl, line 1: utterances[1].label is \"anger\", want one of joy, angry",
        "did you mean \"angry\"?"}},
      {"ClassNameTwice",
       TrainOn("good.jsonl", "class_names: 'joy' class_names: 'joy'"),
       {"class_names = [joy, joy], must be unique and not empty"}},
      {"CompressedFileThatShallStayOnTheDisk",
       TrainOn("good.jsonl.gz", "in_memory: false"),
       {"in_memory: false reads conversations from their places in a record file or JSON Lines, "
        "and "
        "good.jsonl.gz is compressed or an .npz, which have none; unpack it",
        "leave in_memory out"}},
      {"UnknownSpeakersOption",
       TrainOn("good.jsonl", "speakers: BY_VOICE"),
       {"data.dataset[cmerc.RecordsOptions].speakers = BY_VOICE, must be one of BY_NAME, "
        "BY_APPEARANCE"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

}  // namespace

void AddRecords(std::vector<BadInput>* cases) {
  AddDataCommands(cases);
  AddRecordFiles(cases);
}

void WriteBadRecords(const std::string& folder) {
  const auto write = [&](const std::string& name, const std::string& contents) {
    WriteFile(absl::StrCat(folder, "/", name), contents);
  };
  const std::string good = GoodLines();
  // `from` -> `to` in one of the lines.
  const auto spoil = [&](const std::string& name, int line, const std::string& from,
                         const std::string& to) {
    size_t begin = 0;
    for (int i = 1; i < line; ++i) begin = good.find('\n', begin) + 1;
    std::string lines = good;
    lines.replace(lines.find(from, begin), from.size(), to);
    write(name, lines);
  };
  write("good.jsonl", good);
  write("good.jsonl.gz", Gzip(good));
  spoil("nan.jsonl", 2, "[3, 4]", "[NaN, 4]");
  spoil("escape.jsonl", 1, "\"split\": \"", "\"split\": \"\\u001b[2J");
  spoil("widths.jsonl", 3, "[3, 4]", "[3, 4, 5]");
  spoil("no_split.jsonl", 1, "\"split\": \"train\", ", "");
  const auto line_of = [&](int line) {
    const std::vector<std::string> lines = absl::StrSplit(good, '\n');
    return lines[line - 1] + "\n";
  };
  const auto unlabelled = [&](int line) {
    return absl::StrReplaceAll(line_of(line),
                               {{"\"label\": \"joy\", ", ""}, {"\"anger\"", "null"}});
  };
  write("unlabelled.jsonl", unlabelled(1) + unlabelled(2) + unlabelled(3));
  write("unlabelled_train.jsonl", unlabelled(1) + line_of(2) + line_of(3));
  write("unlabelled_valid.jsonl", line_of(1) + unlabelled(2) + line_of(3));
  write("unlabelled_test.jsonl", line_of(1) + line_of(2) + unlabelled(3));
  spoil("lable.jsonl", 2, "\"label\"", "\"lable\"");
  write("sentiment.jsonl",
        absl::StrReplaceAll(line_of(1), {{"\"joy\"", "-1"}, {"\"anger\"", "0"}}) +
            absl::StrReplaceAll(line_of(2), {{"\"joy\"", "0"}, {"\"anger\"", "1"}}));
  spoil("late_audio.jsonl", 3, "\"features\": {", "\"features\": {\"audio\": [0.5], ");
  const auto made_by = [&](int line, const std::string& extractor) {
    return absl::StrReplaceAll(
        line_of(line),
        {{"\"id\"", absl::StrCat("\"extractors\": {\"text\": \"", extractor, "\"}, \"id\"")}});
  };
  write("extractors.jsonl", made_by(1, "bert 1") + line_of(2) + made_by(3, "bert 2"));
  write("texd.jsonl",
        line_of(1) + line_of(2) + absl::StrReplaceAll(line_of(3), {{"\"text\"", "\"texd\""}}));
  write("twice.jsonl", good + good.substr(0, good.find('\n') + 1));
  write("labels.jsonl", absl::StrReplaceAll(good, {{"\"text\"", "\"labels\""}}));
  write("pretty.jsonl", absl::StrReplaceAll(good, {{", ", ",\n  "}}));
  write("list.json", "[\n" + good + "]\n");
  write("blank.jsonl", "\n \n");
  const std::string records = ReadFile("tests/datasets/data/conversations.records");
  write("truncated.records", records.substr(0, records.size() - 150));
  std::string damaged = records;
  damaged[records.size() - 300] ^= 1;
  write("damaged.records", damaged);
}

}  // namespace cmerc
