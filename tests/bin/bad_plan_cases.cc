#include "tests/bin/bad_plan_cases.h"

#include "absl/strings/str_cat.h"
#include "tests/bin/files.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

using Args = std::vector<std::string>;

// A case, and the plan beside tiny.textproto as its base that it is about: NAME.plan.
struct BadPlan {
  BadInput input;
  std::string file;
  std::string plan;
};

Args Experiment(const std::string& plan) {
  return {"experiment", "--config=" + plan, "--output=out/of/this"};
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
  add("SeedTwice", "seeds.plan", "seeds: 1 seeds: 1",
      {"seeds.plan is not a valid plan",
       "seeds: one occurs twice; it would be the same run again"});
  add("NegativeNumberOfRuns", "runs.plan", "parallel_runs: -1",
      {"runs.plan is not a valid plan", "parallel_runs = -1, must be in [0, 1024]"});
  add("VariantThatIsNoConfig", "variant.plan",
      "variants { name: 'a' set { training { epochs: 0 } } } seeds: 7",
      {"run a/seed-7 is not a valid config", "training.epochs = 0, must be >= 1"});
  return plans;
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
      {"PlanWithoutBase",
       Experiment("baseless.plan"),
       {"run seed-1 is not a valid config:",
        "backbone: no backbone is given; write [type.googleapis.com/TYPE] { }"}},
      {"ExperimentBelowAFile",
       {"experiment", "--config=good.plan", "--output=tiny.textproto/out"},
       {"--output=tiny.textproto/out: cannot create it", "choose a folder that can be written"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
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
}

}  // namespace cmerc
