#include "tests/bin/bad_data_cases.h"

#include "tests/bin/bad_arguments.h"

namespace cmerc {
namespace {

void AddPickles(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"NoDataFiles",
       TrainSet("data { dataset { [type.googleapis.com/cmerc.OfficialPicklesOptions] {} } }"),
       {"data.dataset: cmerc.OfficialPicklesOptions: features_file and roberta_file are both not "
        "set, give at least one"}},
      {"MissingDataFile",
       TrainPickle("nowhere.pkl"),
       {"data.dataset: cmerc.OfficialPicklesOptions: roberta_file: nowhere.pkl",
        "No such file or directory", "relative paths start at "}},
      {"FolderAsDataFile",
       TrainPickle("run"),
       {"roberta_file: run: is a directory, expected a pickle file"}},
      {"EmptyDataFile",
       TrainPickle("empty"),
       {"roberta_file: empty: byte 0: the file is empty: expected a pickle"}},
      {"TextAsDataFile",
       TrainPickle("tiny.textproto"),
       {"roberta_file: tiny.textproto: byte 0: 0x0a is no opcode of a pickle: the file is damaged "
        "or not a pickle"}},
      {"TruncatedPickle",
       TrainPickle("truncated.pkl"),
       {"roberta_file: truncated.pkl: byte ",
        "the file is truncated: it ends before the pickle's STOP opcode"}},
      {"PickleThatRunsAProgram",
       TrainPickle("hostile.pkl"),
       {"hostile.pkl: byte 2: global os.system is not allowed: the file may be hostile"}},
      {"PickleOfAnotherLayout",
       TrainPickle("difficulty.pkl"),
       {"roberta_file: difficulty.pkl has none of the layouts that are known: they are tuples or "
        "lists of 9 fields (IEMOCAP features), 10 (MELD features; ",
        ". It holds dict of 1"}},
      {"ListOfConversationsThatNothingReads",
       TrainPickle("good.pkl", "fields { labels: 1 text: 2 train_ids: 7 test_ids: 8 }"),
       {"roberta_file: good.pkl: data[9], list of ",
        "names conversations of this file, but `fields` does not say what it is",
        "data[0]  dict of ", "Say in `fields` what they are; this is a guess, to be checked",
        "train_ids: 7"}},
      {"FieldThatIsNotThere",
       TrainPickle("good.pkl",
                   "fields { labels: 1 text: 12 train_ids: 7 test_ids: 8 valid_ids: 9 }"),
       {"roberta_file: good.pkl: data[12] is not there, want text; the file holds tuple of 10"}},
      {"FieldThatIsNoTable",
       TrainPickle("good.pkl",
                   "fields { labels: 1 text: 7 train_ids: 7 test_ids: 8 valid_ids: 9 }"),
       {"roberta_file: good.pkl: data[7] is list of ", "want a dict from conversation id to text"}},
      {"FieldsWithoutLabels",
       TrainPickle("good.pkl", "fields { text: 2 }"),
       {"fields.labels is not set", "fields.train_ids is not set", "fields.test_ids is not set"}},
      {"FieldThatIsAFraction",
       TrainPickle("good.pkl", "fields { labels: 1.5 }"),
       {"fields.labels = 1.5, must be an integer or a string in quotes"}},
      {"ModalityOfOtherConversations",
       TrainPickle("good.pkl", "modality_files { modality: 'audio' file: 'difficulty.pkl' }"),
       {"difficulty.pkl: ", "audio"}},
      {"NanFeature",
       TrainPickle("nan.pkl"),
       {"nan.pkl: conversation 'Ses1': text (data[2]) utterance 1, column 0 is nan",
        "replace the value in the file"}},
      {"InfiniteFeature",
       TrainPickle("infinite.pkl"),
       {"infinite.pkl: conversation 'Ses0': text (data[2]) utterance 0, column 1 is inf",
        "replace the value in the file"}},
      {"NegativeLabel",
       TrainPickle("negative_label.pkl"),
       {"negative_label.pkl: conversation 'Ses2': labels (data[1]) utterance 1 has label -2, want "
        "0 to 9999"}},
      {"LabelOutOfRange",
       TrainPickle("good.pkl", "class_names: 'calm'"),
       {"good.pkl: conversation 'Ses0': labels (data[1]) utterance 1 has label 1, want 0 to 0 as "
        "there are 1 class_names"}},
      {"UnequalLengths",
       TrainPickle("lengths.pkl"),
       {"lengths.pkl: conversation 'Ses0': text (data[2]) has 1 utterances, want 2, the number of "
        "its labels"}},
      {"UnequalWidths",
       TrainPickle("widths.pkl"),
       {"widths.pkl: conversation 'Ses1': text (data[2]) has width 1, want 2 as in conversation "
        "'Ses0'"}},
      {"NothingToTrainOn",
       TrainPickle("no_train.pkl"),
       {"no_train.pkl: there is no conversation to train on, want >= 1"}},
      {"NothingToTestOn",
       TrainSet("data { protocol: OFFICIAL dataset { [type.googleapis.com/cmerc.RecordsOptions] { "
                "file: 'no_test.jsonl' } } }"),
       {"the test split of the dataset is empty, and the OFFICIAL protocol selects",
        "set data { protocol: HELD_OUT }"}},
      {"NothingToSelectOn",
       TrainPickle("no_valid.pkl"),
       {"the validation split of the dataset is empty", "data { folds: 4 }"}},
      {"ConversationInTwoSplits",
       TrainPickle("overlap.pkl"),
       {"overlap.pkl: conversation 'Ses0' is in the train list and in the test list, want it in "
        "one of them"}},
      {"ConversationThatIsNotThere",
       TrainPickle("unknown_id.pkl"),
       {"unknown_id.pkl: conversation 'Ses9'", "has no such conversation"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddObjects(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"FeaturesOfAnUnknownClass",
       TrainPickle("object.pkl"),
       {"object.pkl: conversation 'Ses0': text (data[2]) is object of class features.LazyMatrix, "
        "want a matrix or a list of vectors; make it plain in Python, x = list(vars(x).values()), "
        "and dump the file again (docs/your_own_data.md)"}},
      {"FeaturesThatAreMasked",
       TrainPickle("masked.pkl"),
       {"masked.pkl: conversation 'Ses0': text (data[2]) is object of class numpy.ma.MaskedArray",
        "x = x.filled(0)"}},
      {"ComplexFeatures",
       TrainPickle("complex.pkl"),
       {"complex.pkl: conversation 'Ses0': text (data[2]) ",
        "got complex64 array of shape [2, 1]; make it plain in Python, x = x.real"}},
      {"DatesAsConversationIds",
       TrainPickle("dates.pkl"),
       {"dates.pkl: the train list (data[7]) is not a list of conversation ids: ",
        "expected an integer, got object of class datetime.date", "x = str(x)"}},
      {"LabelsThatAreTexts",
       TrainPickle("text_labels.pkl"),
       {"text_labels.pkl: conversation 'Ses0': labels (data[1]) utterance 0 has the text \"joy\", "
        "want numbers from 0 on; number the classes in the file, in the order of class_names"}},
      {"LabelsThatAreOneHotRows",
       TrainPickle("one_hot_labels.pkl"),
       {"one_hot_labels.pkl: conversation 'Ses0': labels (data[1]) has shape [2, 2], want one "
        "number per utterance",
        "x.argmax(axis=1)"}},
      {"FeaturesThatAreNotThere",
       TrainPickle("no_text.pkl"),
       {"no_text.pkl has none of the layouts that are known: of 10 fields there is IEMOCAP "
        "RoBERTa, "
        "which has the text in field 2, and here that is None",
        "data { modalities } chooses the others"}},
      {"PickleOfAnObject",
       TrainPickle("object_file.pkl"),
       {"object_file.pkl has none of the layouts that are known", "object of class corpus.Corpus"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddSynthetic(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"SyntheticLengthsThatDecrease",
       TrainSynthetic("min_length: 5"),
       {"min_length, mean_length, max_length = 5, 3, 4, must not decrease"}},
      {"SyntheticModalityTwice",
       TrainSynthetic("modalities { name: 'text' } modalities { name: 'text' }"),
       {"data.dataset: cmerc.SyntheticOptions: modalities[1].name = \"text\" is used twice, must "
        "be unique"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

}  // namespace

void AddData(std::vector<BadInput>* cases) {
  AddPickles(cases);
  AddObjects(cases);
  AddSynthetic(cases);
}

void AddCurriculum(std::vector<BadInput>* cases) {
  const std::string want = "`cmerc difficulty`";
  const std::vector<BadInput> more = {
      {"CurriculumWithoutScheduler",
       TrainSet("curriculum {}"),
       {"curriculum.scheduler: no scheduler is given", "cmerc.BabyStepOptions"}},
      {"CurriculumWithoutDifficulties",
       TrainCurriculum(""),
       {"curriculum.scheduler needs difficulties", "set curriculum.difficulty_file"}},
      {"TwoSourcesOfDifficulties",
       TrainCurriculum("difficulty_file: 'a.json' difficulty_checkpoint: 'b.pth'"),
       {"difficulty_file = \"a.json\" and difficulty_checkpoint = \"b.pth\"", "keep one"}},
      {"MissingDifficultyFile",
       TrainCurriculum("difficulty_file: 'nowhere.json'"),
       {"nowhere.json: No such file or directory", want}},
      {"FolderAsDifficultyFile",
       TrainCurriculum("difficulty_file: 'run'"),
       {"run: this is no regular file"}},
      {"EmptyDifficultyFile",
       TrainCurriculum("difficulty_file: 'empty'"),
       {"empty: byte 0: the file is empty: expected a pickle"}},
      {"DifficultyFileWithUnknownField",
       TrainCurriculum("difficulty_file: 'run/summary.json'"),
       {"run/summary.json: ", want}},
      {"TruncatedDifficultyFile",
       TrainCurriculum("difficulty_file: 'truncated.json'"),
       {"truncated.json: ", want}},
      {"DifficultyPickleThatRunsAProgram",
       TrainCurriculum("difficulty_file: 'hostile.pkl'"),
       {"hostile.pkl: byte 2: global os.system is not allowed: the file may be hostile"}},
      {"NanDifficulty",
       TrainCurriculum("difficulty_file: 'nan.json'"),
       {"nan.json: the difficulty of train_0 is nan, want a finite number"}},
      {"DifficultyTwice",
       TrainCurriculum("difficulty_file: 'twice.json'"),
       {"twice.json: train_0 occurs twice; keep one of its entries"}},
      {"DifficultiesOfAnotherDataset",
       TrainCurriculum("difficulty_file: 'difficulty.pkl'"),
       {"difficulties of difficulty.pkl are not those of this dataset",
        "4 of 4 training conversations have none (train_0", "(Ses0)", "cmerc difficulty"}},
      {"MissingDifficultyCheckpoint",
       TrainCurriculum("difficulty_checkpoint: 'nowhere.pth'"),
       {"nowhere.pth: No such file or directory; want a checkpoint"}},
      {"DifficultyCheckpointOfAnotherModel",
       Train({"--set=curriculum { scheduler { [type.googleapis.com/cmerc.BabyStepOptions] {} } "
              "difficulty_checkpoint: 'run/selected.pth' }",
              "--set=data { dataset { [type.googleapis.com/cmerc.SyntheticOptions] { "
              "num_classes: 4 } } }"}),
       {"run/selected.pth: these are not the weights of this model",
        "smax_fc.bias has shape [3], want [4]"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

}  // namespace cmerc
