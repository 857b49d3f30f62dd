#include "tests/bin/bad_habit_cases.h"

#include <filesystem>

#include "tests/bin/bad_arguments.h"
#include "tests/bin/files.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

void AddFlags(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"EpochsAsFlag",
       Train({"--epochs=3"}),
       {"unknown flag --epochs; a config says that; write --set=training.epochs=3;",
        "flags: --config, --set", "cmerc help train"}},
      {"LearningRateAsFlag",
       Train({"--lr", "0.001"}),
       {"unknown flag --lr", "write --set=training.learning_rate=0.001"}},
      {"BatchSizeAsFlag",
       Train({"--batch-size=4"}),
       {"unknown flag --batch-size", "write --set=training.batch_size=4"}},
      {"DeviceAsFlag",
       Train({"--device=cpu"}),
       {"unknown flag --device", "write --set=training.device=cpu"}},
      {"GpuAsFlag", Train({"--gpu"}), {"unknown flag --gpu", "write --set=training.device=cuda"}},
      {"DropoutAsFlag",
       Train({"--dropout=0.4"}),
       {"unknown flag --dropout", "write --set=backbone.dropout=0.4"}},
      {"PatienceAsFlag",
       Train({"--patience=5"}),
       {"unknown flag --patience", "write --set=training.patience=5"}},
      {"OfficialFlagOfALoss",
       Train({"--rank_coff=0.005"}),
       {"unknown flag --rank_coff", "write --set=losses.CalibrationRanking.weight=0.005"}},
      {"TestAsCommand", {"test"}, {"unknown command \"test\"; did you mean evaluate?"}},
      {"EvalAsCommand", {"eval"}, {"unknown command \"eval\"; did you mean evaluate?"}},
      {"InferAsCommand", {"infer"}, {"unknown command \"infer\"; did you mean predict?"}},
      {"ConvertAsCommand",
       {"convert", "--input=good.jsonl"},
       {"unknown command \"convert\"; did you mean data convert?"}},
      {"HelpOnWhatIsNotThere",
       {"help", "optimiser"},
       {"unknown command \"optimiser\"", "nor is it a plugin or a part of a config",
        "cmerc help config"}},
      {"HelpOnAMistypedPlugin",
       {"help", "M4Net"},
       {"unknown command \"M4Net\"", "did you mean M3Net?", "cmerc plugins lists the ones"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddFields(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"LrInAConfig",
       TrainSet("training { lr: 0.001 }"),
       {"message type \"cmerc.TrainingConfig\" has no field \"lr\"",
        "did you mean \"learning_rate\"?"}},
      {"OptimizerThatIsNotThere",
       TrainSet("training { optimizer: 'sgd' }"),
       {"training.optimizer = 'sgd'", "one of ADAM, ADAMW"}},
      {"MomentumInAConfig",
       TrainSet("training { momentum: 0.9 }"),
       {"has no field \"momentum\"", "the optimizer is Adam or AdamW",
        "training { optimizer: ADAMW"}},
      {"EarlyStoppingInAConfig",
       TrainSet("training { early_stopping: true }"),
       {"has no field \"early_stopping\"", "did you mean \"patience\"?"}},
      {"WarmupInAConfig",
       TrainSet("training { warmup: 5 }"),
       {"has no field \"warmup\"", "cmerc.CosineRateOptions] { warmup_epochs: 3 }"}},
      {"LrSchedulerInAConfig",
       TrainSet("training { lr_scheduler: 'cosine' }"),
       {"has no field \"lr_scheduler\"", "did you mean \"learning_rate_schedule\"?"}},
      {"PretrainedInAConfig",
       TrainSet("pretrained: 'a.pth'"),
       {"has no field \"pretrained\"", "did you mean training { init_checkpoint: ... }?"}},
      {"EmaInAConfig",
       TrainSet("training { ema: true }"),
       {"has no field \"ema\"", "did you mean \"ema_decay\"?"}},
      {"FieldOutsideItsMessage",
       TrainSet("epochs: 3"),
       {"message type \"cmerc.RunConfig\" has no field \"epochs\"",
        "did you mean training { epochs: ... }?"}},
      {"OptionOfAPluginOutsideIt",
       TrainSet("text_encoder: LSTM"),
       {"has no field \"text_encoder\"", "did you mean text_encoder of cmerc.M3NetOptions?"}},
      {"AssignmentToAnUnknownField",
       TrainSet("training.lr=0.001"),
       {"--set=training.lr=0.001: message type \"cmerc.TrainingConfig\" has no field \"lr\"",
        "did you mean \"learning_rate\"?"}},
      {"AssignmentWithoutValue",
       TrainSet("training.epochs="),
       {"--set=training.epochs=: expected a value behind ="}},
      {"AssignmentOfTextToANumber",
       TrainSet("training.epochs=three"),
       {"--set=training.epochs=three: training.epochs = three, must be an integer of 32 bits"}},
      {"AssignmentToAMessage",
       TrainSet("training=3"),
       {"--set=training=3: training holds fields; name one of them, as in training.epochs=..."}},
      {"AssignmentIntoANumber",
       TrainSet("training.epochs.most=3"),
       {"training.epochs is a single value; end the path there"}},
      {"AssignmentToALossThatIsNotThere",
       TrainSet("losses.Mscl.weight=1"),
       {"--set=losses.Mscl.weight=1: losses has Nll, CalibrationRanking and no Mscl",
        "losses { loss { [type.googleapis.com/TYPE] {} } }"}},
      {"AssignmentToAnEntryThatIsNotThere",
       TrainSet("losses[7].weight=1"),
       {"losses[7] is not there: there are 2"}},
      {"AssignmentOfAnUnknownPlugin",
       TrainSet("backbone=Lstm"),
       {"--set=backbone=Lstm: backbone: no plugin Lstm is linked into this program"}},
      {"AssignmentsWithALooseWord",
       TrainSet("training.epochs=3 and more"),
       {"--set: expected NAME.NAME=VALUE, got and more; a value with spaces needs quotes"}},
      {"AssignmentOutOfRange",
       Train({"--set", "training.epochs=3", "backbone.dropout=1"}),
       {"backbone[cmerc.M3NetOptions].dropout = 1, must be in [0, 1)"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

const char kInput[] = "this is the same file as --input=good.jsonl, which is read";

Args PredictTo(const std::string& output) {
  return {"predict", "--checkpoint=run/selected.pth", "--input=good.jsonl", "--output=" + output,
          "--overwrite"};
}

// --set of a curriculum that needs difficulties, with these fields.
std::string Curriculum(const std::string& fields) {
  return "--set=curriculum { scheduler { [type.googleapis.com/cmerc.BabyStepOptions] {} } " +
         fields + " }";
}

void AddKeptFiles(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"PredictOverItsInput",
       PredictTo("good.jsonl"),
       {"--output=good.jsonl: ", kInput, "choose another name"}},
      {"PredictOverItsInputByAnotherSpelling",
       PredictTo("run/../good.jsonl"),
       {"--output=run/../good.jsonl: ", kInput}},
      {"PredictOverALinkToItsInput", PredictTo("same.jsonl"), {"--output=same.jsonl: ", kInput}},
      {"PredictOverItsCheckpoint",
       PredictTo("run/selected.pth"),
       {"this is the same file as --checkpoint=run/selected.pth, which is read"}},
      {"PredictOverACorpus",
       PredictTo("corpus.jsonl"),
       {"--output=corpus.jsonl: the file that is there, JSON, does not hold predictions of "
        "`cmerc predict` and is not replaced",
        "move it away"}},
      {"EvaluateOverItsCheckpoint",
       Evaluate({"--output=run/selected.pth"}),
       {"this is the same file as --checkpoint=run/selected.pth"}},
      {"EvaluateOverItsConfig",
       Evaluate({"--config=tiny.textproto", "--output=tiny.textproto", "--overwrite"}),
       {"this is the same file as --config=tiny.textproto"}},
      {"EvaluateOverAPickle",
       Evaluate({"--output=good.pkl", "--overwrite"}),
       {"--output=good.pkl: the file that is there, a Python pickle, does not hold scores"}},
      {"EvaluateOverScores",
       Evaluate({"--output=scores.json"}),
       {"--output=scores.json is there already and holds scores of `cmerc evaluate`",
        "or --overwrite to replace it"}},
      {"DifficultyOverTheOfficialFile",
       Difficulty({"--output=difficulty.pkl"}),
       {"--output=difficulty.pkl is there already and holds difficulties", "--overwrite"}},
      {"DifficultyOverAFileOfItsConfig",
       Difficulty({"--output=difficulty.pkl", "--overwrite",
                   Curriculum("difficulty_file: 'difficulty.pkl'")}),
       {"this is the same file as difficulty.pkl of the config, which is read"}},
      {"DifficultyOverAModel",
       Difficulty({"--output=python.pth", "--overwrite"}),
       {"--output=python.pth: the file that is there", "does not hold difficulties"}},
      {"ConvertOverItsInput",
       {"data", "convert", "--input=good.jsonl", "--output=good.jsonl", "--overwrite"},
       {kInput}},
      {"ConvertOverAnotherKind",
       {"data", "convert", "--input=good.jsonl", "--output=notes.npz", "--overwrite"},
       {"--output=notes.npz: the file that is there does not hold conversations as an .npz"}},
      {"ReportOverAFileOfItsRun",
       {"report", "run", "--output=run/config.textproto", "--overwrite"},
       {"--output=run/config.textproto: a report is an HTML page, not a .textproto"}},
      {"HomeThatIsNotKnown",
       {"evaluate", "--checkpoint=~/model.pth"},
       {"--checkpoint: ~/model.pth: the environment variable HOME, which ~ stands for, is not set"},
       {{"HOME", ""}}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddKeptFolders(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"TrainOverItsConfig",
       {"train", "--config=project/config.textproto", "--output=project", "--overwrite"},
       {"--output=project: the run reads project/config.textproto and would write over it",
        "choose another folder"}},
      {"TrainOverFilesOfNoRun",
       Train({"--output=project", "--overwrite"}),
       {"--output=project: the run would write over project/config.textproto, which is of no run",
        "move it away"}},
      {"TrainOverTheModelOfItsDifficulties",
       Train({"--output=run", "--overwrite",
              Curriculum("difficulty_checkpoint: 'run/selected.pth'")}),
       {"--output=run: the run reads run/selected.pth and would write over it"}},
      {"TrainOverTheModelItStartsWith",
       Train({"--output=run", "--overwrite", "--set=training.init_checkpoint=run/selected.pth"}),
       {"--output=run: the run reads run/selected.pth and would write over it",
        "choose another folder"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

}  // namespace

void AddHabits(std::vector<BadInput>* cases) {
  AddFlags(cases);
  AddFields(cases);
}

void AddKept(std::vector<BadInput>* cases) {
  AddKeptFiles(cases);
  AddKeptFolders(cases);
}

void WriteKept(const std::string& folder) {
  std::filesystem::create_hard_link(folder + "/good.jsonl", folder + "/same.jsonl");
  WriteFile(folder + "/corpus.jsonl", ReadFile(folder + "/good.jsonl"));
  WriteFile(folder + "/scores.json", "{\n \"checkpoint\": \"a.pth\",\n \"scores\": {}\n}\n");
  WriteFile(folder + "/notes.npz", "what I must not forget\n");
  std::filesystem::create_directory(folder + "/project");
  WriteFile(folder + "/project/config.textproto", TinyConfig());
}

}  // namespace cmerc
