#include "tests/bin/bad_plan_cases.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/bin/bad_arguments.h"
#include "tests/bin/files.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

// A case, and the plan beside tiny.textproto as its base that it is about: NAME.plan.
struct BadPlan {
  BadInput input;
  std::string file;
  std::string plan;
};

Args Experiment(const std::string& plan) {
  return {"experiment", "--config=" + plan, "--output=out/of/this"};
}

// A search of one draw beside `more` of the search, and what is wrong with it.
void AddSearches(std::vector<BadPlan>* plans) {
  const auto add = [&](const std::string& name, const std::string& file, const std::string& search,
                       const std::vector<std::string>& says, const std::string& beside = "") {
    plans->push_back(
        {{name, Experiment(file), says}, file, absl::StrCat(beside, "search { ", search, " }")});
  };
  const auto rate = [](const std::string& from) {
    return absl::StrCat("draw { path: 'training.learning_rate' ", from, " }");
  };
  add("NoTrials", "trials.plan", "trials: 0", {"search.trials = 0, must be in [1, 10000]"});
  add("SearchOfNothing", "nothing.plan", "",
      {"search: nothing is drawn for run seed-1", "add, as an example, draw { path:"});
  add("DrawOfNoField", "no_path.plan", "draw { choice: '1' }",
      {"search.draw[0]: nothing is drawn; name a field"});
  add("DrawOfUnknownField", "path.plan",
      "draw { path: 'backbone.dropot' uniform { min: 0.1 max: 0.5 } }",
      {"search.draw[0], for run seed-1, is not a valid config:", "backbone.dropot=0.1: ",
       "did you mean \"dropout\"?"});
  add("DrawBeyondARange", "beyond.plan",
      "draw { path: 'backbone.dropout' uniform { min: 0.1 max: 1.5 } }",
      {"search.draw[0], for run seed-1, is not a valid config:",
       "dropout = 1.5, must be in [0, 1)"});
  add("ChoiceBeyondARange", "choice.plan",
      "draw { path: 'training.epochs' choice: '3' choice: '0' }",
      {"search.draw[0], for run seed-1, is not a valid config:",
       "training.epochs = 0, must be >= 1"});
  add("DrawFromAnEmptyInterval", "empty_interval.plan", rate("uniform { min: 0.5 max: 0.1 }"),
      {"search.draw[0] (training.learning_rate): uniform { min: 0.5 max: 0.1 } has nothing to draw "
       "from; want min < max"});
  add("LogarithmOfZero", "log.plan", rate("log_uniform { min: 0 max: 0.1 }"),
      {"search.draw[0] (training.learning_rate): log_uniform.min = 0, must be > 0"});
  add("IntervalWithoutEnd", "end.plan", rate("uniform { min: 0.1 }"),
      {"search.draw[0] (training.learning_rate): uniform needs both min and max"});
  add("DrawFromNothing", "nowhere_to_draw.plan", rate(""),
      {"search.draw[0] (training.learning_rate): it says nothing to draw from"});
  add("PartsOfAWholeNumber", "whole.plan",
      "draw { path: 'training.batch_size' uniform { min: 0.5 max: 8 } }",
      {"search.draw[0], for run seed-1, is not a valid config:",
       "training.batch_size = 0.5, must be "
       "an integer"});
  add("IntervalOfNames", "names.plan",
      "draw { path: 'backbone.encoded_modality' uniform { min: 0 max: 1 } }",
      {"search.draw[0], for run seed-1: backbone.encoded_modality is no number",
       "draw it from a list: choice:"});
  add("DrawOfTheSeed", "seed.plan", "draw { path: 'training.seed' choice: '1' choice: '2' }",
      {"search.draw[0].path = \"training.seed\": trials that differ in it cannot be compared"});
  add("DrawTwice", "draw_twice.plan", rate("uniform { min: 0.1 max: 0.2 }") + rate("choice: '0.1'"),
      {"search.draw[1].path = \"training.learning_rate\" is drawn twice"});
  add("SearchByTheTestSplit", "official.plan",
      rate("choice: '0.1'") + " set { data { protocol: OFFICIAL } }",
      {"search: run seed-1 has data.protocol = OFFICIAL, by which the test set selects the epoch",
       "add search { set { data { protocol: HELD_OUT } } }"});
  add("SearchOfTwoModels", "two_models.plan",
      rate("choice: '0.1'") + " set { training { compare_uncalibrated: true } }",
      {"search: run seed-1 has training.compare_uncalibrated = true",
       "add search { set { training { compare_uncalibrated: false } } }"});
  add("MoreHalvingsThanEpochs", "halvings.plan", rate("choice: '0.1'") + " halvings: 2",
      {"search.halvings = 2 needs at least 4 epochs, and run trial-1/seed-1 has training.epochs = "
       "1"});
  add("SeedOfTrialsTwice", "training_seeds.plan", "training_seeds: 3 training_seeds: 3",
      {"search.training_seeds: one occurs twice"});
  add("SeedOfTrialsBySet", "set_seed.plan", rate("choice: '0.1'") + " set { training { seed: 3 } }",
      {"search.set: training.seed = 3", "write search { training_seeds: 3 }"});
  add("SearchOfAnotherVariant", "other_variant.plan", "variant: 'b'",
      {"search.variant = \"b\", must be a variant of the plan: a"}, "variants { name: 'a' } ");
  plans->push_back(
      {{"DrawWithoutSearch",
        Experiment("draw.plan"),
        {"variants[0].draw[0]: the plan has no search that draws it", "add search { trials: 50 }"}},
       "draw.plan",
       "variants { name: 'a' draw { path: 'training.learning_rate' choice: '1' } }"});
  plans->push_back(
      {{"DrawOfWhatIsSet",
        {"experiment", "--config=drawn.plan", "--output=out/of/this",
         "--set=training.batch_size=3"},
        {"--set gives what search.draw[0] draws (training.batch_size); leave one of them out"}},
       "drawn.plan",
       "search { halvings: 0 draw { path: 'training.batch_size' uniform { min: 1 max: 8 } } }"});
  add("SearchOfAShard", "search_shard.plan", "halvings: 0 " + rate("uniform { min: 0.1 max: 0.5 }"),
      {"search: --shard does its part of the runs and waits for no other", "give --worker"});
  plans->back().input.args.push_back("--shard=1/2");
}

std::vector<BadPlan> BadPlans() {
  std::vector<BadPlan> plans;
  const auto add = [&](const std::string& name, const std::string& file, const std::string& plan,
                       const std::vector<std::string>& says) {
    plans.push_back({{name, Experiment(file), says}, file, plan});
  };
  add("PlanWithUnknownField", "field.plan", "variant { name: 'a' }",
      {"field.plan", "no field \"variant\"; did you mean \"variants\"?"});
  add("VariantThatIsNoFolder", "slash.plan", "variants { name: 'a/b' }",
      {"slash.plan is not a valid plan", "variants[0].name = \"a/b\", must be made of letters"});
  add("VariantWithoutName", "nameless.plan", "variants {}",
      {"nameless.plan is not a valid plan", "variants[0].name = \"\", must be made of letters"});
  add("VariantTwice", "twice.plan", "variants { name: 'a' } variants { name: 'a' }",
      {"twice.plan is not a valid plan", "variants[1].name = \"a\" occurs twice"});
  add("BaselineThatIsNotThere", "baseline.plan", "variants { name: 'a' baseline: 'b' }",
      {"baseline.plan is not a valid plan",
       "variants[0].baseline = \"b\", must be another variant: a"});
  add("DatasetWithBaseline", "dataset.plan", "datasets { name: 'a' baseline: 'b' }",
      {"dataset.plan is not a valid plan",
       "datasets[0].baseline: only a variant has a baseline; remove it"});
  add("BackboneWithBaseline", "backbone.plan", "backbones { name: 'a' baseline: 'b' }",
      {"backbone.plan is not a valid plan",
       "backbones[0].baseline: only a variant has a baseline; remove it"});
  add("VariantsOfTwoBackbonesAlike", "alike.plan",
      "backbones { name: 'a' } backbones { name: 'a_b' } variants { name: 'b_c' } "
      "variants { name: 'c' }",
      {"alike.plan is not a valid plan",
       "backbones: two of them make a variant a_b_c; give one another name"});
  add("SeedTwice", "seeds.plan", "seeds: 1 seeds: 1",
      {"seeds.plan is not a valid plan",
       "seeds: one occurs twice; it would be the same run again"});
  add("NegativeNumberOfRuns", "runs.plan", "parallel_runs: -1",
      {"runs.plan is not a valid plan", "parallel_runs = -1, must be in [0, 1024]"});
  add("TestFoldOfAnExperiment", "test_fold.plan",
      "variants { name: 'a' set { data { test_folds: 5 test_fold: 2 } } } seeds: 7",
      {"run a/seed-7: data.test_fold = 2, but an experiment tests on each of the 5 parts and "
       "scores "
       "them together; leave it out"});
  AddSearches(&plans);
  add("LauncherThatIsALoss", "loss.plan", "launcher { [type.googleapis.com/cmerc.NllOptions] {} }",
      {"cmerc.NllOptions is a loss, not a launcher"});
  const auto slurm = [](const std::string& options) {
    return absl::StrCat("launcher { [type.googleapis.com/cmerc.SlurmOptions] { ", options, " } }");
  };
  add("NoRoomInTheQueue", "room.plan", slurm("array_limit: 0"),
      {"cmerc.SlurmOptions: array_limit = 0, must be in [1, 100000]"});
  add("ExtraOfSbatchWithoutDashes", "extra.plan", slurm("extra: 'account=lab'"),
      {"launcher Slurm: extra = \"account=lab\", must be an argument of sbatch that begins with -",
       "\"--account=lab\""});
  add("ExtraOfSbatchThatIsOurs", "array.plan", slurm("extra: '--array=0-9'"),
      {"launcher Slurm: extra = \"--array=0-9\": cmerc sets --array itself; leave it out"});
  add("SlurmForAWorker", "slurm.plan", slurm(""),
      {"--worker does runs on this machine, but the launcher of the plan is Slurm",
       "leave out --worker and --shard, or the launcher"});
  plans.back().input.args.push_back("--worker");
  add("SlurmWithoutItsCommands", "no_slurm.plan", slurm(""),
      {"launcher Slurm: there is no sbatch on the PATH; start the experiment where Slurm's "
       "commands are"});
  plans.back().input.environment = {{"PATH", "/nonexistent"}};
  add("VariantThatIsNoConfig", "variant.plan",
      "variants { name: 'a' set { training { epochs: 0 } } } seeds: 7",
      {"run a/seed-7 is not a valid config", "training.epochs = 0, must be >= 1"});
  return plans;
}

// A good plan with a flag that is not, or into a folder that is not for it.
Args Good(const std::string& flag) {
  return {"experiment", "--config=good.plan", "--output=out/of/this", flag};
}

void AddFlagsOfExperiments(std::vector<BadInput>* cases) {
  const std::string want = "want seeds as in --seeds=1,2,3 or --seeds=1-5";
  const std::vector<BadInput> more = {
      {"SeedsThatAreWords", Good("--seeds=one,two"), {"--seeds=one,two: \"one\"", want}},
      {"SeedsWithSpaces", Good("--seeds=1, 2"), {"--seeds=1, 2: \" 2\"", want}},
      {"SeedsAsARangeOfPython", Good("--seeds=range(5)"), {"--seeds=range(5): \"range(5)\"", want}},
      {"SeedsBackwards", Good("--seeds=5-1"), {"--seeds=5-1: \"5-1\"", want}},
      {"SeedOfTheCommandLineTwice",
       Good("--seeds=1-3,2"),
       {"--seeds=1-3,2: 2 occurs twice; it would be the same run again"}},
      {"NumberOfSeedsForTheLastOfThem",
       Good("--seeds=0-100000"),
       {"--seeds=0-100000: \"0-100000\" is more than 1000 seeds; name fewer"}},
      {"JobsInWords",
       Good("--jobs=all"),
       {"--jobs=all, must be a number of runs in [0, 1024]", "0 means one per processor"}},
      {"NegativeJobs", Good("--jobs=-1"), {"--jobs=-1, must be a number of runs in [0, 1024]"}},
      {"ShardFromZero",
       Good("--shard=0/4"),
       {"--shard=0/4, must be I/N, the I-th of N parts with I from 1 to N", "--shard=1/4"}},
      {"ShardBeyondTheLast", Good("--shard=5/4"), {"--shard=5/4, must be I/N"}},
      {"ShardWithoutNumber", Good("--shard=2"), {"--shard=2, must be I/N"}},
      {"NoPatience",
       Good("--patience_s=0"),
       {"--patience_s=0, must be a number of seconds in [1, 86400]"}},
      {"SeedOfAnExperimentBySet",
       Good("--set=training { seed: 7 }"),
       {"--set: training.seed = 7, but the plan gives every run its seed; write --seeds=7"}},
      {"FoldOfAnExperimentBySet",
       Good("--set=data { folds: 4 fold: 2 }"),
       {"--set: data.fold = 2, but a run validates on the part seed mod data.folds",
        "choose the seeds: --seeds=2"}},
      {"ExperimentWithBadSet",
       Good("--set=training { epochs: 0 }"),
       {"run seed-1 is not a valid config", "training.epochs = 0, must be >= 1"}},
      {"DryRunOfABadPlan",
       {"experiment", "--config=variant.plan", "--output=out/of/this", "--dry_run"},
       {"run a/seed-7 is not a valid config", "training.epochs = 0, must be >= 1"}},
      {"ExperimentIntoTheFolderOfARun",
       {"experiment", "--config=good.plan", "--output=run"},
       {"--output=run holds a single run of `cmerc train`; choose another folder"}},
      {"ExperimentOverTheResultsOfOthers",
       {"experiment", "--config=good.plan", "--output=results_of_others"},
       {"--output=results_of_others holds a results.csv that no experiment wrote",
        "choose another folder or move the file"}},
      {"TrainIntoTheFolderOfAnExperiment",
       Train({"--output=experiment"}),
       {"--output=experiment holds an experiment, not a run; choose another folder"}},
      {"TrainOverAnExperiment",
       Train({"--output=experiment", "--overwrite"}),
       {"--output=experiment holds an experiment, not a run; choose another folder",
        "cmerc experiment --output=experiment with its --config"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

}  // namespace

void AddPlans(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"NoPlan",
       {"experiment", "--output=out/of/this"},
       {"--config= is missing", "config/experiments/quickstart.textproto"}},
      {"ExperimentIntoNothing",
       {"experiment", "--config=seeds.plan"},
       {"--output= is missing", "--output=runs/experiment"}},
      {"MissingPlan",
       Experiment("nowhere.plan"),
       {"nowhere.plan does not exist", "check the path"}},
      {"EmptyPlan", Experiment("empty"), {"empty is empty; write a text-format ExperimentPlan"}},
      {"ConfigAsPlan",
       Experiment("tiny.textproto"),
       {"no field \"data\"; did you mean base { data { ... } }? fields: base, datasets, variants"}},
      {"PlanAsConfig",
       {"train", "--config=good.plan", "--output=out/of/this"},
       {"good.plan is not a valid config", "good.plan:1:", "has no field \"base\"",
        "fields: data, backbone, losses"}},
      {"PlanWithoutBase",
       Experiment("baseless.plan"),
       {"run seed-1 is not a valid config:",
        "backbone: no backbone is given; write [type.googleapis.com/TYPE] { }"}},
      {"ExperimentBelowAFile",
       {"experiment", "--config=good.plan", "--output=tiny.textproto/out"},
       {"--output=tiny.textproto/out: cannot create it", "choose a folder that can be written"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
  AddFlagsOfExperiments(cases);
  for (const BadPlan& bad : BadPlans()) cases->push_back(bad.input);
}

void WriteBadPlans(const std::string& folder) {
  const auto write = [&](const std::string& name, const std::string& contents) {
    WriteFile(absl::StrCat(folder, "/", name), contents);
  };
  const auto plan = [](const std::string& more) {
    return absl::StrCat("base { ", TinyConfig(), " }\n", more);
  };
  write("good.plan", plan("seeds: 1"));
  write("baseless.plan", "seeds: 1");
  for (const BadPlan& bad : BadPlans()) write(bad.file, plan(bad.plan));
  for (const char* name :
       {"experiment", "broken_experiment", "begun_experiment", "results_of_others"}) {
    std::filesystem::create_directory(absl::StrCat(folder, "/", name));
  }
  for (const char* begun : {"experiment", "broken_experiment", "begun_experiment"}) {
    write(absl::StrCat(begun, "/cmerc_experiment.textproto"), plan("seeds: 1"));
  }
  write("experiment/results.json", "{\"rows\": []}\n");
  write("broken_experiment/results.json", "{\n\"rows\": [\n{]\n}\n");
  write("results_of_others/results.csv", "model,f1\n");
}

}  // namespace cmerc
