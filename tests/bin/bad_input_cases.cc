#include "tests/bin/bad_input_cases.h"

#include "absl/strings/str_cat.h"
#include "tests/bin/bad_plan_cases.h"
#include "tests/bin/bad_predict_cases.h"
#include "tests/bin/bad_record_cases.h"

namespace cmerc {
namespace {

using Args = std::vector<std::string>;

// Any of the commands' flags; a test's own output stays below its folder.
Args Train(const Args& more) {
  Args args = {"train", "--config=tiny.textproto"};
  bool has_output = false;
  for (const std::string& arg : more) {
    has_output = has_output || arg.rfind("--output", 0) == 0;
    args.push_back(arg);
  }
  if (!has_output) args.push_back("--output=out/of/this");
  return args;
}
Args TrainSet(const std::string& fragment) { return Train({"--set=" + fragment}); }
Args TrainModel(const std::string& options) {
  return TrainSet("backbone { [type.googleapis.com/cmerc.M3NetOptions] { " + options + " } }");
}
Args TrainLoss(const std::string& loss) { return TrainSet("losses { " + loss + " }"); }
Args TrainSynthetic(const std::string& options) {
  return TrainSet("data { dataset { [type.googleapis.com/cmerc.SyntheticOptions] { " + options +
                  " } } }");
}
Args TrainPickle(const std::string& file, const std::string& options = "") {
  return TrainSet(
      absl::StrCat("data { dataset { [type.googleapis.com/cmerc.OfficialPicklesOptions] ",
                   "{ roberta_file: '", file, "' ", options, options.empty() ? "" : " ", "} } }"));
}
// With a scheduler that needs difficulties.
Args TrainCurriculum(const std::string& fields) {
  return TrainSet("curriculum { scheduler { [type.googleapis.com/cmerc.BabyStepOptions] {} } " +
                  fields + " }");
}
Args Evaluate(const Args& more) {
  Args args = {"evaluate", "--checkpoint=run/selected.pth"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}
Args Difficulty(const Args& more) {
  Args args = {"difficulty", "--checkpoint=run/selected.pth"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

void AddCommandLine(std::vector<BadInput>* cases) {
  const std::string commands =
      "commands: train, evaluate, predict, difficulty, experiment, data, report, plugins, help";
  const std::vector<BadInput> more = {
      {"UnknownCommand", {"trian"}, {"unknown command \"trian\"", "did you mean train?", commands}},
      {"UnknownCommandFarFromAll", {"xyzzy"}, {"unknown command \"xyzzy\"", commands}},
      {"UnknownGlobalFlag",
       {"--versoin"},
       {"unknown command \"--versoin\"", "did you mean --version?"}},
      {"HelpOnUnknownCommand",
       {"help", "evalute"},
       {"unknown command \"evalute\"", "did you mean evaluate?"}},
      {"HelpOnTwoCommands",
       {"help", "train", "evaluate"},
       {"unexpected argument \"evaluate\"; flags look like --name=value", "cmerc help help"}},
      {"UnknownFlag",
       Train({"--ouput=x"}),
       {"unknown flag --ouput", "did you mean --output?", "--config, --set", "cmerc help train"}},
      {"FlagOfAnotherCommand",
       Train({"--views"}),
       {"unknown flag --views; flags: --config, --set", "cmerc help train"}},
      {"FlagOfACommandWithoutFlags",
       {"plugins", "--all"},
       {"unknown flag --all; this command has no flags", "cmerc help plugins"}},
      {"FlagWithoutValue", {"train", "--config"}, {"--config needs a value: --config=FILE"}},
      {"FlagWithEmptyValue", {"train", "--config="}, {"--config needs a value: --config=FILE"}},
      {"FlagInPlaceOfValue",
       {"train", "--config", "--overwrite"},
       {"--config needs a value: --config=FILE"}},
      {"FlagTwice",
       Train({"--config=tiny.textproto"}),
       {"--config is given twice", "cmerc help train"}},
      {"SwitchWithValue", Train({"--overwrite=yes"}), {"--overwrite takes no value"}},
      {"TensorboardWithFolder",
       Train({"--tensorboard=logs"}),
       {"--tensorboard takes no value", "cmerc help train"}},
      {"WordInPlaceOfFlag",
       {"train", "tiny.textproto"},
       {"unexpected argument \"tiny.textproto\"", "flags look like --name=value"}},
      {"UnknownPluginInCatalogue",
       {"plugins", "m4net"},
       {"no plugin m4net is linked into this program", "did you mean cmerc.M3NetOptions?",
        "linked losses: cmerc.CalibrationRankingOptions"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddEnvironment(std::vector<BadInput>* cases) {
  const std::vector<std::string> threads = {"must be a number of threads from 1 to 1024",
                                            "correct it, or unset it for one thread per processor"};
  const auto with_threads = [&](const std::string& name, const std::string& value) {
    return BadInput{name,
                    {"plugins"},
                    {absl::StrCat("OMP_NUM_THREADS=", value), threads[0], threads[1]},
                    {{"OMP_NUM_THREADS", value}}};
  };
  cases->push_back(with_threads("ThreadsThatAreNoNumber", "abc"));
  cases->push_back(with_threads("NoThreads", "0"));
  cases->push_back(with_threads("ThreadsWithoutValue", ""));
  cases->push_back(with_threads("InnerThreadsThatAreNoNumber", "2,all"));
  cases->push_back(with_threads("MoreThreadsThanAnyMachineHas", "1000000"));
  cases->push_back(
      {"MissingWorkingDirectory",
       {"plugins"},
       {"cannot change to BUILD_WORKING_DIRECTORY=/nonexistent", "No such file or directory",
        "start from a folder that exists", "unset the variable"},
       {{"BUILD_WORKING_DIRECTORY", "/nonexistent"}}});
  const std::string message = "cannot write to standard output; is it closed, or the disk full?";
  for (const auto& [name, command] : {std::make_pair("Help", "help"), {"Plugins", "plugins"}}) {
    cases->push_back(
        {absl::StrCat(name, "OntoAFullDisk"), {command}, {message}, {}, 1, "/dev/full"});
    cases->push_back({absl::StrCat(name, "IntoAClosedOutput"), {command}, {message}, {}, 1, "&-"});
  }
}

void AddConfig(std::vector<BadInput>* cases) {
  const std::string tiny = "tiny.textproto is not a valid config:";
  const std::vector<BadInput> more = {
      {"NoConfig", {"train"}, {"--config=FILE is missing", "config/examples/quickstart.textproto"}},
      {"MissingConfig",
       {"train", "--config=nowhere.textproto"},
       {"nowhere.textproto does not exist", "check the path"}},
      {"FolderAsConfig",
       {"train", "--config=run"},
       {"config run is a directory", "name a file in it"}},
      {"EmptyConfig",
       {"train", "--config=empty"},
       {"empty is empty; write a text-format RunConfig"}},
      {"BinaryConfig",
       {"train", "--config=run/selected.pth"},
       {"run/selected.pth is binary; name a text-format RunConfig"}},
      {"ConfigIsJson",
       {"train", "--config=run/summary.json"},
       {"run/summary.json is not a valid config:",
        "run/summary.json:1:1: expected the name of a field, got {"}},
      {"UnknownField",
       TrainSet("training { epoch: 3 }"),
       {tiny, "--set='training { epoch: 3 }':1:12:", "no field \"epoch\"",
        "did you mean \"epochs\"?", "fields: epochs, batch_size"}},
      {"UnknownFieldOfPlugin",
       TrainModel("layers: 3"),
       {"\"cmerc.M3NetOptions\" has no field \"layers\"", "fields: input_width"}},
      {"UnknownPlugin",
       TrainSet("backbone { [type.googleapis.com/cmerc.M3netOptions] {} }"),
       {tiny, "no plugin cmerc.M3netOptions is linked into this program",
        "did you mean cmerc.M3NetOptions?", "linked datasets: cmerc.OfficialPicklesOptions"}},
      {"WrongPluginKind",
       TrainSet("backbone { [type.googleapis.com/cmerc.NllOptions] {} }"),
       {tiny, "backbone: cmerc.NllOptions is a loss, not a backbone", "linked backbones: "}},
      {"PluginWithoutUrl",
       TrainSet("backbone { [cmerc.M3NetOptions] {} }"),
       {"write [type.googleapis.com/cmerc.M3NetOptions] instead of [cmerc.M3NetOptions]"}},
      {"EntryWithoutLoss",
       TrainLoss("weight: 2"),
       {"losses[2].loss: no loss is given; write [type.googleapis.com/TYPE] { }",
        "cmerc.FocalOptions"}},
      {"UnclosedSet",
       TrainSet("training { epochs: 3"),
       {"--set='training { epochs: 3':1:10: \"{\" is never closed"}},
      {"SetWithoutValue",
       TrainSet("training { epochs: }"),
       {"--set='training { epochs: }':1:20: expected a value, got }"}},
      {"SetIsAnAssignment",
       TrainSet("training.epochs=3"),
       {"--set='training.epochs=3':1:9: expected { after training, got ."}},
      {"UnknownEnumValue",
       TrainSet("calibration { view_weights: FROZEN }"),
       {"calibration.view_weights = FROZEN", "one of EPOCH_SNAPSHOT, LIVE, LIVE_WITH_GRADIENT"}},
      {"TextForNumber",
       TrainSet("training { epochs: 'three' }"),
       {"training.epochs = 'three', must be an integer of 32 bits"}},
      {"NumberTooLarge",
       TrainSet("training { epochs: 3000000000 }"),
       {"training.epochs = 3000000000, must be an integer of 32 bits"}},
      {"BatchSizeZero",
       TrainSet("training { batch_size: 0 }"),
       {tiny, "training.batch_size = 0, must be >= 1"}},
      {"NegativeLearningRate",
       TrainSet("training { learning_rate: -1 }"),
       {tiny, "training.learning_rate = -1, must be > 0"}},
      {"NanLearningRate",
       TrainSet("training { learning_rate: nan }"),
       {"training.learning_rate = nan, must be finite and > 0"}},
      {"InfiniteWeightDecay",
       TrainSet("training { weight_decay: inf }"),
       {"training.weight_decay = inf, must be finite and >= 0"}},
      {"NegativeGradientClipNorm",
       TrainSet("training { gradient_clip_norm: -1 }"),
       {tiny, "training.gradient_clip_norm = -1, must be >= 0"}},
      {"NanGradientClipNorm",
       TrainSet("training { gradient_clip_norm: nan }"),
       {"training.gradient_clip_norm = nan, must be finite and >= 0"}},
      {"UnknownOnNonFinite",
       TrainSet("training { on_non_finite: IGNORE }"),
       {"training.on_non_finite = IGNORE", "one of STOP, SKIP_BATCH"}},
      {"UnknownDevice",
       TrainSet("training { device: 'gpu' }"),
       {"training.device: \"gpu\" is no device",
        "must be \"cpu\", \"auto\", \"cuda\" or \"cuda:\" and a number"}},
      {"GpuThatIsNotThere",
       TrainSet("training { device: 'cuda:99' }"),
       {"training.device: \"cuda:99\"", "use \"cpu\" or \"auto\""}},
      {"CudaGraphsOfBatchesThatComeOnce",
       TrainSet("training { cuda_graphs: true }"),
       {"training.cuda_graphs: with shuffle: true and reseed_every_pass: false no batch comes "
        "again",
        "leave it out"}},
      {"NegativeLossWeight",
       TrainLoss("weight: -0.5 loss { [type.googleapis.com/cmerc.NllOptions] {} }"),
       {tiny, "losses[0].weight = -0.5, must be >= 0"}},
      {"EveryProblemAtOnce",
       Train({"--set=training { epochs: 0 batch_size: -2 }", "--set=data { protocl: OFFICIAL }"}),
       {"did you mean \"protocol\"?", "training.epochs = 0, must be >= 1",
        "training.batch_size = -2, must be >= 1"}},
      {"DropoutOfOne",
       TrainModel("dropout: 1"),
       {"backbone[cmerc.M3NetOptions].dropout = 1, must be in [0, 1)"}},
      {"OddInputWidth",
       TrainModel("input_width: 7"),
       {"backbone: cmerc.M3NetOptions: input_width = 7, must be even"}},
      {"TextOfAnotherWidthThanTheGraph",
       TrainModel("text_linear: false"),
       {"text_linear = false", "input_width = 8 to be the width of text, 32",
        "set text_linear: true"}},
      {"ModelLargerThanMemory",
       TrainModel("graph_width: 2147483647"),
       {"backbone: out of memory: you tried to allocate", "use a smaller model"}},
      {"NoLossOfTheTask",
       TrainLoss("weight: 0 loss { [type.googleapis.com/cmerc.NllOptions] {} }"),
       {"losses: none with a weight above 0 does without views",
        "[type.googleapis.com/cmerc.NllOptions]"}},
      {"ClassWeightsOfTheWrongCount",
       TrainLoss("loss { [type.googleapis.com/cmerc.NllOptions] { class_weights: GIVEN "
                 "weight: 1 weight: 2 } }"),
       {"losses[0]: cmerc.NllOptions: 2 values of weight, must be 3"}},
      {"ClassWeightOfZero",
       TrainLoss("loss { [type.googleapis.com/cmerc.NllOptions] { class_weights: GIVEN "
                 "weight: 1 weight: 0 weight: 2 } }"),
       {"losses[0].loss[cmerc.NllOptions].weight[1] = 0, must be > 0"}},
      {"NoClassWeightsWhereTheyAreGiven",
       TrainLoss("loss { [type.googleapis.com/cmerc.FocalOptions] {} } } losses { loss { "
                 "[type.googleapis.com/cmerc.LabelSmoothingOptions] { class_weights: GIVEN } }"),
       {"cmerc.LabelSmoothingOptions: 0 values of weight, must be 3"}},
      {"RankingOfUnknownView",
       TrainLoss("loss { [type.googleapis.com/cmerc.CalibrationRankingOptions] "
                 "{ views: 'txt' } }"),
       {"losses[1]: cmerc.CalibrationRankingOptions: views has \"txt\"",
        "text, audio, visual, same_speaker, other_speakers"}},
      {"UnknownModality",
       TrainSet("data { modalities: 'video' }"),
       {"data.modalities[0] = \"video\", must be one of: text, audio, visual"}},
      {"OneFold",
       TrainSet("data { folds: 1 }"),
       {"data.folds = 1, must be 0 or >= 2: a single part would leave nothing to train on"}},
      {"FoldThatIsNotThere",
       TrainSet("data { folds: 4 fold: 4 }"),
       {"data.fold = 4, must be < data.folds = 4"}},
      {"FoldsOfTheOfficialProtocol",
       TrainSet("data { protocol: OFFICIAL folds: 4 }"),
       {"data.folds: only the HELD_OUT protocol validates; set data { protocol: HELD_OUT } or "
        "folds: 0"}},
      {"MoreFoldsThanConversations",
       TrainSet("data { folds: 1000 }"),
       {"data.folds = 1000, but train + valid has only ", "set at most so many"}},
      {"ModalityTwice",
       TrainSet("data { modalities: 'text' modalities: 'audio' modalities: 'text' }"),
       {"data.modalities[2] = \"text\" occurs twice", "name each modality once"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddData(std::vector<BadInput>* cases) {
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
       {"roberta_file: difficulty.pkl holds dict of 1, want the tuple or list of 9 to 13 fields of "
        "an official feature file"}},
      {"NanFeature",
       TrainPickle("nan.pkl"),
       {"nan.pkl: conversation 'Ses1': text (field 3) utterance 1, column 0 is nan",
        "replace the value in the file"}},
      {"InfiniteFeature",
       TrainPickle("infinite.pkl"),
       {"infinite.pkl: conversation 'Ses0': text (field 3) utterance 0, column 1 is inf",
        "replace the value in the file"}},
      {"NegativeLabel",
       TrainPickle("negative_label.pkl"),
       {"negative_label.pkl: conversation 'Ses2': labels (field 2) utterance 1 has label -1, want "
        "0 to 9999"}},
      {"LabelOutOfRange",
       TrainPickle("good.pkl", "class_names: 'calm'"),
       {"good.pkl: conversation 'Ses0': labels (field 2) utterance 1 has label 1, want 0 to 0 as "
        "there are 1 class_names"}},
      {"UnequalLengths",
       TrainPickle("lengths.pkl"),
       {"lengths.pkl: conversation 'Ses0': text (field 3) has 1 utterances, want 2, the number of "
        "its labels"}},
      {"UnequalWidths",
       TrainPickle("widths.pkl"),
       {"widths.pkl: conversation 'Ses1': text (field 3) has width 1, want 2 as in conversation "
        "'Ses0'"}},
      {"NothingToTrainOn",
       TrainPickle("no_train.pkl"),
       {"no_train.pkl: there is no conversation to train on, want >= 1"}},
      {"NothingToTestOn",
       TrainPickle("no_test.pkl"),
       {"no_test.pkl: there is no conversation to test on, want >= 1"}},
      {"NothingToSelectOn",
       TrainPickle("no_valid.pkl"),
       {"the validation split of the dataset is empty", "set data { protocol: OFFICIAL }"}},
      {"ConversationInTwoSplits",
       TrainPickle("overlap.pkl"),
       {"overlap.pkl: conversation 'Ses0' is in the train list and in the test list, want it in "
        "one of them"}},
      {"ConversationThatIsNotThere",
       TrainPickle("unknown_id.pkl"),
       {"unknown_id.pkl: conversation 'Ses9'", "has no such conversation"}},
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

void AddCheckpoints(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"NoCheckpoint", {"evaluate"}, {"--checkpoint=FILE is missing", "selected.pth"}},
      {"NoCheckpointForDifficulty",
       {"difficulty", "--output=x.json"},
       {"--checkpoint=FILE is missing"}},
      {"MissingCheckpoint",
       {"evaluate", "--checkpoint=nowhere.pth"},
       {"nowhere.pth: No such file or directory; want a checkpoint"}},
      {"FolderAsCheckpoint",
       {"evaluate", "--checkpoint=run"},
       {"run: this is no regular file; want a checkpoint, for example run/selected.pth"}},
      {"EmptyCheckpoint", {"evaluate", "--checkpoint=empty"}, {"empty: not a checkpoint"}},
      {"TextAsCheckpoint",
       {"evaluate", "--checkpoint=run/metrics.jsonl"},
       {"run/metrics.jsonl: not a checkpoint", "want the file of `cmerc train`"}},
      {"TruncatedCheckpoint",
       {"evaluate", "--checkpoint=truncated.pth"},
       {"truncated.pth: not a checkpoint, or a damaged one"}},
      {"PickleAsCheckpoint",
       {"evaluate", "--checkpoint=hostile.pkl"},
       {"hostile.pkl: not a checkpoint"}},
      {"CheckpointFromPythonWithoutConfig",
       {"evaluate", "--checkpoint=python.pth"},
       {"python.pth holds weights alone", "say how they were trained: --config="}},
      {"CheckpointFromPythonOfAnotherModel",
       {"evaluate", "--checkpoint=python.pth", "--config=tiny.textproto"},
       {"python.pth: these are not the weights of this model",
        "gru_l.bias_hh_l0 has shape [48], want [12]",
        "Give the config the model was trained with"}},
      {"CheckpointOfAnotherModel",
       Evaluate(
           {"--set=backbone { [type.googleapis.com/cmerc.M3NetOptions] { graph_width: 16 } }"}),
       {"run/selected.pth: these are not the weights of this model",
        "smax_fc.weight has shape [3, 48], want [3, 96]"}},
      {"StandardisationOfAnotherDataset",
       Evaluate({"--set=data { modalities: 'text' }"}),
       {"run/selected.pth", "standardisation", "use the dataset the model was trained on"}},
      {"EvaluateWithBadSet",
       Evaluate({"--set=training { batch_size: 0 }"}),
       {"the config in run/selected.pth is not a valid config", "training.batch_size = 0"}},
      {"UnknownSplit", Evaluate({"--split=dev"}), {"--split=dev, must be train, valid or test"}},
      {"EmptySplit",
       Evaluate({"--split=valid", "--set=data { protocol: OFFICIAL }"}),
       {"--split=valid: this split is empty under the protocol of the config (data.protocol)"}},
      {"DifficultyWithoutOutput",
       Difficulty({}),
       {"--output=FILE is missing (NAME.json or NAME.pkl)"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddReports(std::vector<BadInput>* cases) {
  const std::string remedy = "name a folder that `cmerc train` has written";
  const std::vector<BadInput> more = {
      {"ReportOfNothing",
       {"report", "--output=report.html"},
       {"the folder of a run is missing; try cmerc report runs/quickstart"}},
      {"ReportIntoNothing", {"report", "run"}, {"--output=FILE is missing; try cmerc report"}},
      {"ReportOfAMissingRun",
       {"report", "run", "nowhere", "--output=report.html"},
       {"nowhere: No such file or directory", remedy}},
      {"ReportOfAFile",
       {"report", "run/summary.json", "--output=report.html"},
       {"run/summary.json: not a folder", remedy}},
      {"ReportOfAnEmptyFolder",
       {"report", "empty_folder", "--output=report.html"},
       {"empty_folder/config.textproto: No such file or directory", remedy}},
      {"ReportOfARunTwice",
       {"report", "run", "run/", "--output=report.html"},
       {"run is given twice; name each run once"}},
      {"ReportOfBrokenMetrics",
       {"report", "broken_metrics", "--output=report.html"},
       {"broken_metrics/metrics.jsonl:2: ", remedy}},
      {"ReportOfABrokenSummary",
       {"report", "run", "broken_summary", "--output=report.html"},
       {"broken_summary/summary.json:3: ", remedy}},
      {"ReportIntoAFolder",
       {"report", "run", "--output=run"},
       {"--output=run: this is a folder; choose the name of a file"}},
      {"ReportIntoAMissingFolder",
       {"report", "run", "--output=nowhere/report.html"},
       {"--output=nowhere/report.html: cannot write into nowhere", "create that folder"}},
      {"UnknownFlagOfReport",
       {"report", "run", "--ouput=report.html"},
       {"unknown flag --ouput", "did you mean --output?", "cmerc help report"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddOutputs(std::vector<BadInput>* cases) {
  const std::string remedy = "choose a folder that can be written";
  const std::vector<BadInput> more = {
      {"TrainIntoAFile",
       Train({"--output=tiny.textproto"}),
       {"--output=tiny.textproto: this is not a folder; choose another"}},
      {"TrainBelowAFile",
       Train({"--output=tiny.textproto/run"}),
       {"--output=tiny.textproto/run", "Not a directory", remedy}},
      {"TrainIntoAFolderThatCannotBeMade",
       Train({"--output=/proc/cmerc"}),
       {"--output=/proc/cmerc: cannot create /proc/cmerc", remedy}},
      {"TrainIntoAFolderThatCannotBeWritten",
       Train({"--output=/proc/self"}),
       {"--output=/proc/self: cannot write into /proc/self", remedy}},
      {"TrainOverARun",
       Train({"--output=run"}),
       {"--output=run holds a run already", "choose another folder, or --overwrite"}},
      {"ResumeWithoutTheFolder",
       {"train", "--resume"},
       {"--resume goes on with the run in --output=DIR; name that folder"}},
      {"ResumeAFolderWithoutARun",
       {"train", "--resume", "--output=nowhere"},
       {"--output=nowhere holds no run to go on with (no config.textproto)", "--config=FILE"}},
      {"ResumeAndOverwrite",
       Train({"--output=run", "--resume", "--overwrite"}),
       {"--resume and --overwrite exclude each other"}},
      {"ResumeAndProfile",
       Train({"--output=run", "--resume", "--profile"}),
       {"--resume and --profile exclude each other"}},
      {"ResumeWithFragmentsAlone",
       {"train", "--resume", "--output=run", "--set=training { epochs: 9 }"},
       {"--set: --resume goes on with the config of the run as it is"}},
      {"ResumeWithAnotherConfig",
       Train({"--output=run", "--resume", "--set=training { epochs: 9 }"}),
       {"--resume: the run in run was begun with another config (run/config.textproto:",
        "now \"epochs: 9\"", "leave out --config and --set"}},
      {"BadInputLeavesTheRunThatItWouldHaveReplaced",
       Train({"--output=run", "--overwrite",
              "--set=backbone { [type.googleapis.com/cmerc.M3NetOptions] { input_width: 5 } }"}),
       {"input_width = 5, must be even"}},
      {"EvaluateIntoAFolder",
       Evaluate({"--output=run"}),
       {"--output=run: this is a folder; choose the name of a file"}},
      {"EvaluateIntoAMissingFolder",
       Evaluate({"--output=nowhere/scores.json"}),
       {"--output=nowhere/scores.json: cannot write into nowhere", "create that folder"}},
      {"EvaluateBelowAFile",
       Evaluate({"--output=tiny.textproto/scores.json"}),
       {"cannot write into tiny.textproto: Not a directory", remedy}},
      {"EvaluateIntoAFolderThatCannotBeWritten",
       Evaluate({"--output=/proc/scores.json"}),
       {"--output=/proc/scores.json: cannot write into /proc", remedy}},
      {"EvaluateIntoADevice",
       Evaluate({"--output=/dev/null"}),
       {"--output=/dev/null: this is no regular file; choose the name of a file"}},
      {"DifficultyIntoAFolder", Difficulty({"--output=run"}), {"--output=run: this is a folder"}},
      {"DifficultyIntoAFolderThatCannotBeWritten",
       Difficulty({"--output=/proc/difficulty.pkl"}),
       {"--output=/proc/difficulty.pkl: cannot write into /proc", remedy}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const BadInput& input) {
  out << "cmerc";
  for (const std::string& arg : input.args) out << " '" << arg << "'";
  return out;
}

const std::vector<BadInputTopic>& BadInputTopics() {
  static const auto* topics = [] {
    const std::vector<std::pair<const char*, void (*)(std::vector<BadInput>*)>> tables = {
        {"The command line", AddCommandLine},
        {"The environment", AddEnvironment},
        {"Configs", AddConfig},
        {"The official pickles and generated data", AddData},
        {"Record files, JSON Lines and `cmerc data`", AddRecords},
        {"Curricula and difficulties", AddCurriculum},
        {"Checkpoints", AddCheckpoints},
        {"Predicting", AddPredictInputs},
        {"Plans of experiments", AddPlans},
        {"Reports", AddReports},
        {"Where results go", AddOutputs},
    };
    auto* all = new std::vector<BadInputTopic>;
    for (const auto& [title, add] : tables) {
      all->push_back({title, {}});
      add(&all->back().cases);
    }
    return all;
  }();
  return *topics;
}

std::vector<BadInput> BadInputs() {
  std::vector<BadInput> all;
  for (const BadInputTopic& topic : BadInputTopics()) {
    all.insert(all.end(), topic.cases.begin(), topic.cases.end());
  }
  return all;
}

}  // namespace cmerc
