#include "tests/bin/bad_config_cases.h"

#include "tests/bin/bad_arguments.h"

namespace cmerc {
namespace {

void AddConfigTexts(std::vector<BadInput>* cases) {
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
      {"UnknownEnumValue",
       TrainSet("calibration { view_weights: FROZEN }"),
       {"calibration.view_weights = FROZEN", "one of EPOCH_SNAPSHOT, LIVE, LIVE_WITH_GRADIENT"}},
      {"TextForNumber",
       TrainSet("training { epochs: 'three' }"),
       {"training.epochs = 'three', must be an integer of 32 bits"}},
      {"NumberTooLarge",
       TrainSet("training { epochs: 3000000000 }"),
       {"training.epochs = 3000000000, must be an integer of 32 bits"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddTrainingOptions(std::vector<BadInput>* cases) {
  const std::string tiny = "tiny.textproto is not a valid config:";
  const std::vector<BadInput> more = {
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
      {"CudaGraphsOfPairedViews",
       TrainSet("training { cuda_graphs: true shuffle: false } "
                "calibration { view_weights: LIVE_PAIRED }"),
       {"training.cuda_graphs: cannot replay views", "LIVE_PAIRED", "leave it out"}},
      {"CudaGraphsOfDrawnViews",
       TrainSet("training { cuda_graphs: true shuffle: false } "
                "calibration { views_per_step: 2 }"),
       {"training.cuda_graphs: what is replayed has the views of the step",
        "calibration.views_per_step draws new ones", "leave one of them out"}},
      {"NegativeNumberOfDrawnViews",
       TrainSet("calibration { views_per_step: -1 }"),
       {"calibration.views_per_step = -1, must be >= 0"}},
      {"EvidenceFlagsThatLearnNothing",
       TrainSet("calibration { evidence_flags: true }"),
       {"calibration.evidence_flags: nothing is ever missing in training",
        "set training { drop_evidence: 0.2 }", "LIVE_PAIRED"}},
      {"AllEvidenceDropped",
       TrainSet("training { drop_evidence: 1 }"),
       {"training.drop_evidence = 1, must be in [0, 1)"}},
      {"DroppedEvidenceOfOneModality",
       TrainSet("training { drop_evidence: 0.2 } data { modalities: 'text' }"),
       {"training.drop_evidence: the data has one modality, text", "leave it out"}},
      {"CudaGraphsOfDroppedEvidence",
       TrainSet("training { cuda_graphs: true shuffle: false drop_evidence: 0.2 }"),
       {"training.cuda_graphs: with training.drop_evidence no batch comes again",
        "leave one of them out"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddTrainersOptions(std::vector<BadInput>* cases) {
  const std::string tiny = "tiny.textproto is not a valid config:";
  const std::vector<BadInput> more = {
      {"NegativePatience",
       TrainSet("training { patience: -1 }"),
       {tiny, "training.patience = -1, must be >= 0"}},
      {"AverageOfDecayOne",
       TrainSet("training { ema_decay: 1 }"),
       {tiny, "training.ema_decay = 1, must be in [0, 1)"}},
      {"PartsThatAreNoPowerOfTwo",
       TrainSet("training { parts: 6 }"),
       {tiny, "training.parts = 6, must be 0 or a power of two"}},
      {"PartsOfACudaGraph",
       TrainSet("training { parts: 2 cuda_graphs: true shuffle: false }"),
       {tiny, "training.parts: a step in parts cannot be replayed", "leave one of them out"}},
      {"PartsThatAreMaskedByPadding",
       TrainSet("training { parts: 2 } calibration { masked_mean: PADDED_ROWS }"),
       {tiny, "training.parts: with calibration.masked_mean: PADDED_ROWS", "or parts: 0"}},
      {"SelectionByWhatIsNoScore",
       TrainSet("training { select_by: LOSS }"),
       {"training.select_by = LOSS", "one of WEIGHTED_F1, MACRO_F1, NLL, ACCURACY"}},
      {"RoundedScoresThatDoNotSelect",
       TrainSet("data { protocol: OFFICIAL round_scores: true } training { select_by: NLL }"),
       {"data.round_scores = true rounds weighted F1 and training.select_by = NLL",
        "leave one of them out"}},
      {"DecoupledDecayThatTurnsWeightsRound",
       TrainSet("training { optimizer: ADAMW learning_rate: 0.1 weight_decay: 10 }"),
       {"training.weight_decay = 10, must be below 1 / learning_rate = 10 with ADAMW"}},
      {"ScheduleOfTheWrongKind",
       TrainSet("training { learning_rate_schedule { "
                "[type.googleapis.com/cmerc.LinearOptions] {} } }"),
       {"training.learning_rate_schedule: cmerc.LinearOptions is a scheduler, not a learning_rate",
        "cmerc.LinearRateOptions"}},
      {"ScheduleOutOfRange",
       Train({"--set", "training.learning_rate_schedule=PlateauRate",
              "training.learning_rate_schedule.gamma=1.5"}),
       {"training.learning_rate_schedule[cmerc.PlateauRateOptions].gamma = 1.5, must be in (0, "
        "1)"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

// run/selected.pth is of three classes.
void AddStarts(std::vector<BadInput>* cases) {
  const std::string four_classes =
      "--set=data { dataset { [type.googleapis.com/cmerc.SyntheticOptions] { num_classes: 4 } } }";
  const auto start = [](const std::string& file, const std::string& more) {
    return "--set=training { init_checkpoint: '" + file + "' " + more + " }";
  };
  const std::vector<BadInput> more = {
      {"MissingInitCheckpoint",
       Train({start("nowhere.pth", "")}),
       {"training.init_checkpoint: nowhere.pth: No such file or directory; want a checkpoint"}},
      {"TextAsInitCheckpoint",
       Train({start("tiny.textproto", "")}),
       {"training.init_checkpoint: tiny.textproto: "}},
      {"InitCheckpointOfOtherClasses",
       Train({start("run/selected.pth", ""), four_classes}),
       {"training.init_checkpoint = run/selected.pth: 2 of ", "tensors do not fit this model: ",
        "smax_fc.bias has shape [3], want [4]; smax_fc.weight has shape [3, ",
        "--set='training { init_skip: [\"smax_fc.*\"] }'"}},
      {"InitCheckpointOfAnotherBackbone",
       Train({start("run/selected.pth", ""),
              "--set=backbone { [type.googleapis.com/cmerc.GruOptions] {} }"}),
       {"tensors do not fit this model: the model has no graph_model.",
        "; its own backbone is cmerc.M3NetOptions; to leave them out"}},
      {"PatternThatFitsNothing",
       Train({start("run/selected.pth", "init_skip: 'classifier.*'")}),
       {"training.init_skip: \"classifier.*\" fits no name in the model or in the file; names: ",
        "smax_fc.weight"}},
      {"PatternsThatLeaveNothing",
       Train({start("run/selected.pth", "init_skip: '*'")}),
       {"nothing in it is taken: init_parameters and init_skip leave nothing"}},
      {"InitSkipWithoutInitCheckpoint",
       TrainSet("training { init_skip: 'smax_fc.*' }"),
       {"training.init_skip chooses what is taken from training.init_checkpoint, which is not "
        "set"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddModelsAndLosses(std::vector<BadInput>* cases) {
  const std::string tiny = "tiny.textproto is not a valid config:";
  const std::vector<BadInput> more = {
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
      {"BatchOfMoreHyperedgesThanTheOfficialCodeHas",
       Train({"--set", "backbone.semantics=OFFICIAL", "data.dataset.min_length=600",
              "data.dataset.mean_length=600", "data.dataset.max_length=600"}),
       {"train split, batch 1, conversations train_0, train_1: M3Net with semantics: OFFICIAL has "
        "weights for 1000 hyperedges",
        "needs 1206", "use a smaller batch (training.batch_size), or semantics: CORRECTED",
        "nothing was trained"}},
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
      {"LossOfViewsWithoutGradient",
       TrainLoss("loss { [type.googleapis.com/cmerc.ShrunkDistillationOptions] {} }"),
       {"calibration.view_weights = EPOCH_SNAPSHOT: cmerc.ShrunkDistillationOptions teaches the "
        "predictions without a source of evidence",
        "set calibration { view_weights: LIVE_PAIRED }"}},
      {"DrawnViewsOfALossThatNeedsAll",
       TrainLoss("loss { [type.googleapis.com/cmerc.TargetShareOptions] {} } } "
                 "calibration { views_per_step: 2"),
       {"calibration.views_per_step = 2: cmerc.TargetShareOptions cannot be computed from some of "
        "its views",
        "leave one of the two out"}},
      {"WeightsOfViewsOfALossThatHasNone",
       TrainLoss("loss { [type.googleapis.com/cmerc.TargetShareOptions] "
                 "{ loss { [type.googleapis.com/cmerc.NllOptions] {} } } }"),
       {"losses[2]: cmerc.TargetShareOptions: loss = cmerc.NllOptions cannot be weighted view by "
        "view",
        "wrap a loss that compares views, such as CalibrationRankingOptions"}},
      {"ShrinkageOfAViewThatIsNotNamed",
       TrainLoss("loss { [type.googleapis.com/cmerc.ShrunkDistillationOptions] "
                 "{ views: 'text' view_shrinkage { view: 'audio' } } }"),
       {"losses[2]: cmerc.ShrunkDistillationOptions: view_shrinkage has \"audio\"",
        "none of its views"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddDataOptions(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
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
      {"RoundedScoresOfAnotherProtocol",
       TrainSet("data { round_scores: true }"),
       {"data.round_scores = true, must be false unless protocol is OFFICIAL",
        "set data { protocol: OFFICIAL }"}},
      {"MoreFoldsThanConversations",
       TrainSet("data { folds: 1000 }"),
       {"data.folds = 1000, but train + valid has only ", "set at most so many"}},
      {"FoldGroupWithoutFolds",
       TrainSet("data { fold_group: \"Ses??\" }"),
       {"data.fold_group = \"Ses??\" says what data.folds must not divide; set folds too"}},
      {"FoldGroupThatEndsNowhere",
       TrainSet("data { folds: 2 fold_group: '*' }"),
       {"data.fold_group = \"*\": after * must come the character that it ends before"}},
      {"FoldGroupThatDoesNotFit",
       TrainSet("data { folds: 2 fold_group: \"Ses??\" }"),
       {"data.fold_group = \"Ses??\" does not fit the id of conversation train_0",
        "every id that is divided must begin as it says"}},
      {"MoreFoldsThanGroups",
       TrainSet("data { folds: 3 fold_group: '*_' }"),
       {"data.folds = 3, but data.fold_group = \"*_\" makes only 2 groups of train + valid "
        "(train_, "
        "valid_); set at most so many folds"}},
      {"OneTestFold",
       TrainSet("data { test_folds: 1 }"),
       {"data.test_folds = 1, must be 0 or >= 2: a single part would leave nothing to train on"}},
      {"TwoTestFolds",
       TrainSet("data { test_folds: 2 }"),
       {"data.test_folds = 2: one part is tested on and the other one validated on",
        "set 3 or more, or data.folds"}},
      {"TestFoldThatIsNotThere",
       TrainSet("data { test_folds: 5 test_fold: 5 }"),
       {"data.test_fold = 5, must be < data.test_folds = 5"}},
      {"TestFoldWithoutTestFolds",
       TrainSet("data { test_fold: 2 }"),
       {"data.test_fold = 2 is one of data.test_folds parts; set test_folds too"}},
      {"TestFoldsOfTheOfficialProtocol",
       TrainSet("data { protocol: OFFICIAL test_folds: 5 }"),
       {"data.test_folds: under OFFICIAL the part that is tested on would select the epoch; set "
        "data { protocol: HELD_OUT }"}},
      {"MoreTestFoldsThanGroups",
       TrainSet("data { test_folds: 5 fold_group: '*_' }"),
       {"data.test_folds = 5, but data.fold_group = \"*_\" makes only 3 groups of train + valid + "
        "test (test_, train_, valid_)"}},
      {"UnscoredClassThatIsNone",
       TrainSet("data { unscored_classes: 'neutral' }"),
       {"data.unscored_classes[0] = \"neutral\", must be one of: class_0, class_1, class_2"}},
      {"UnscoredClassWithATypo",
       TrainSet("data { unscored_classes: 'clas_1' }"),
       {"data.unscored_classes[0] = \"clas_1\", must be one of: ", "did you mean \"class_1\"?"}},
      {"EveryClassUnscored",
       TrainSet("data { unscored_classes: 'class_0' unscored_classes: 'class_1' "
                "unscored_classes: 'class_2' }"),
       {"data.unscored_classes names all 3 classes, which leaves none to score"}},
      {"ModalityTwice",
       TrainSet("data { modalities: 'text' modalities: 'audio' modalities: 'text' }"),
       {"data.modalities[2] = \"text\" occurs twice", "name each modality once"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

}  // namespace

void AddConfig(std::vector<BadInput>* cases) {
  AddConfigTexts(cases);
  AddTrainingOptions(cases);
  AddTrainersOptions(cases);
  AddStarts(cases);
  AddModelsAndLosses(cases);
  AddDataOptions(cases);
}

}  // namespace cmerc
