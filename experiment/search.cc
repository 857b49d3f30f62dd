#include "experiment/search.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "config/loader.h"
#include "core/status.h"
#include "experiment/draws.h"
#include "experiment/labels.h"

namespace cmerc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

// A draw for the config of a run, where its field is known.
struct FieldDraw {
  PlacedDraw placed;
  bool whole;  // whole numbers
};

// Finds the first field by which two messages differ, in options of plugins too.
class FirstDifference final : public MessageDifferencer::Reporter {
 public:
  using Path = std::vector<MessageDifferencer::SpecificField>;
  const FieldDescriptor* field() const { return field_; }
  void ReportAdded(const Message&, const Message&, const Path& path) override { Take(path); }
  void ReportDeleted(const Message&, const Message&, const Path& path) override { Take(path); }
  void ReportModified(const Message&, const Message&, const Path& path) override { Take(path); }

 private:
  void Take(const Path& path) {
    if (field_ == nullptr && !path.empty()) field_ = path.back().field;
  }

  const FieldDescriptor* field_ = nullptr;
};

// The first field by which the configs differ; null where they do not.
const FieldDescriptor* DifferingField(const RunConfig& one, const RunConfig& other) {
  FirstDifference first;
  MessageDifferencer differencer;
  differencer.ReportDifferencesTo(&first);
  differencer.Compare(one, other);
  return first.field();
}

// `config` with assignments over it. InvalidArgument: what is wrong with them, of `source`.
absl::StatusOr<RunConfig> WithAssignments(const RunConfig& config,
                                          const std::vector<std::string>& assignments,
                                          const std::string& source) {
  absl::StatusOr<RunConfig> changed = MergeConfigs({config}, source, assignments);
  if (changed.ok()) return changed;
  // Nobody gave these on a command line.
  return absl::Status(changed.status().code(),
                      absl::StrReplaceAll(changed.status().message(), {{"--set=", ""}}));
}

std::vector<std::string> AssignmentsOf(const std::vector<DrawnOption>& options) {
  std::vector<std::string> assignments;
  for (const DrawnOption& option : options) {
    assignments.push_back(absl::StrCat(option.path(), "=", option.value()));
  }
  return assignments;
}

// InvalidArgument: --set says what is drawn as well, of which `drawn` is the outcome.
absl::Status CheckSets(const PlacedDraw& placed, const RunConfig& drawn,
                       const std::vector<std::string>& sets) {
  if (sets.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const RunConfig set, MergeConfigs({drawn}, placed.place, sets));
  if (MessageDifferencer::Equals(drawn, set)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--set gives what ", placed.place, " draws (",
                                                 absl::StrJoin(placed.draw.path(), ", "),
                                                 "); leave one of them out"));
}

// InvalidArgument: an end of its interval or a choice is no value of its field in the config of
// `run`, or not within its range.
absl::StatusOr<FieldDraw> FindField(const PlacedDraw& placed, const PlannedRun& run,
                                    const std::vector<std::string>& sets) {
  const std::string source = absl::StrCat(placed.place, ", for run ", run.path(), ",");
  std::vector<RunConfig> configs;
  for (const std::string& value : ExtremeValues(placed.draw)) {
    ASSIGN_OR_RETURN(RunConfig config,
                     WithAssignments(run.config, Assignments(placed.draw, value), source));
    RETURN_IF_ERROR(CheckSets(placed, config, sets));
    configs.push_back(std::move(config));
  }
  if (placed.draw.choice_size() > 0) return FieldDraw{placed, false};
  const FieldDescriptor* field = DifferingField(configs.front(), configs.back());
  if (field == nullptr) return FieldDraw{placed, false};
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return FieldDraw{placed, true};
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return FieldDraw{placed, false};
    default:
      return absl::InvalidArgumentError(
          absl::StrCat(placed.place, ", for run ", run.path(), ": ", placed.draw.path(0),
                       " is no number; draw it from a list: choice: \"...\" choice: \"...\""));
  }
}

// InvalidArgument: trials of this run would look at a test split.
absl::Status CheckUntested(const PlannedRun& run) {
  const std::string name = absl::StrCat("search: run ", run.path(), " has ");
  if (run.config.data().protocol() == DataConfig::OFFICIAL) {
    return absl::InvalidArgumentError(absl::StrCat(
        name,
        "data.protocol = OFFICIAL, by which the test set selects the epoch, and a search must not "
        "see it; add search { set { data { protocol: HELD_OUT } } }"));
  }
  if (run.config.training().compare_uncalibrated()) {
    return absl::InvalidArgumentError(absl::StrCat(
        name,
        "training.compare_uncalibrated = true, and a search must not see the test scores of that "
        "model; add search { set { training { compare_uncalibrated: false } } }"));
  }
  return absl::OkStatus();
}

// InvalidArgument: it has fewer epochs than it takes to tell the times at which trials are dropped.
absl::Status CheckEpochs(const PlannedRun& run, int halvings) {
  if (run.config.training().epochs() >= 1 << halvings) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "search.halvings = ", halvings, " needs at least ", 1 << halvings, " epochs, and run ",
      run.path(), " has training.epochs = ", run.config.training().epochs(),
      "; choose fewer halvings or more epochs"));
}

// A trial of the runs in `seeds`, one for each training seed.
absl::StatusOr<Trial> MakeTrial(int number, const std::vector<FieldDraw>& draws,
                                const Search& search, const std::vector<PlannedRun>& seeds) {
  Trial trial{number, {}, seeds};
  for (const FieldDraw& draw : draws) {
    const std::string value = DrawnValue(draw.placed.draw, draw.whole, search.seed(), number);
    for (const std::string& path : draw.placed.draw.path()) {
      DrawnOption& option = trial.options.emplace_back();
      option.set_path(path);
      option.set_value(value);
    }
  }
  for (PlannedRun& run : trial.runs) {
    run.trial = number;
    ASSIGN_OR_RETURN(run.config, WithAssignments(run.config, AssignmentsOf(trial.options),
                                                 absl::StrCat("run ", run.path())));
    RETURN_IF_ERROR(CheckEpochs(run, search.halvings()));
  }
  return trial;
}

// The trials of a variant; `seeds` has a run for each training seed.
absl::StatusOr<std::vector<Trial>> MakeTrials(const ExperimentPlan& plan,
                                              const PlannedVariant& variant,
                                              const std::vector<PlannedRun>& seeds,
                                              const std::vector<std::string>& sets) {
  const PlannedRun& first = seeds.front();
  RETURN_IF_ERROR(CheckUntested(first));
  std::vector<FieldDraw> draws;
  for (const PlacedDraw& placed : DrawsOf(plan, first.dataset, variant)) {
    ASSIGN_OR_RETURN(FieldDraw draw, FindField(placed, first, sets));
    draws.push_back(std::move(draw));
  }
  if (draws.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("search: nothing is drawn for run ", first.path(),
                     "; add, as an example, draw { path: \"training.learning_rate\" log_uniform { "
                     "min: 1e-4 max: 1e-2 } }"));
  }
  std::vector<Trial> trials;
  std::map<std::string, int> seen;
  for (int number = 1; number <= plan.search().trials(); ++number) {
    ASSIGN_OR_RETURN(Trial trial, MakeTrial(number, draws, plan.search(), seeds));
    const auto [known, is_new] = seen.emplace(OptionsText(trial.options), number);
    if (!is_new) trial.same_as = known->second;
    trials.push_back(std::move(trial));
  }
  return trials;
}

// What tells searches apart.
using Key = std::tuple<std::string, std::string, std::optional<int>>;

// The search that the options of a run come from; null where there is none.
const VariantSearch* SearchFor(const SearchPlan& plan, const PlannedRun& run) {
  const Key key(run.dataset, plan.searched_as.at(run.variant), run.test_fold);
  for (const VariantSearch& search : plan.searches) {
    if (Key(search.dataset, search.variant, search.test_fold) == key) return &search;
  }
  return nullptr;
}

// InvalidArgument: the options of a search are none that all runs could have.
absl::Status CheckRuns(const SearchPlan& plan, const std::vector<PlannedRun>& runs) {
  for (const PlannedRun& run : runs) {
    const VariantSearch* search = SearchFor(plan, run);
    const DataConfig* data =
        search != nullptr ? &search->trials.front().runs.front().config.data() : nullptr;
    if (data == nullptr ||
        (run.test_fold.has_value() && data->fold_group() != run.config.data().fold_group())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "search.set: data.test_folds and data.fold_group must be those of run ", run.path(),
          ", since every part that is tested on needs a search that has not seen it; leave them "
          "out"));
    }
    const std::vector<std::string> assignments = AssignmentsOf(search->trials.front().options);
    RETURN_IF_ERROR(
        WithAssignments(run.config, assignments,
                        absl::StrCat("run ", run.path(), ", with what the search draws,"))
            .status());
  }
  return absl::OkStatus();
}

}  // namespace

std::string OptionsText(const std::vector<DrawnOption>& options) {
  return absl::StrJoin(AssignmentsOf(options), " ");
}

absl::StatusOr<SearchPlan> PlanSearch(const ExperimentPlan& plan,
                                      const std::vector<PlannedRun>& runs,
                                      const std::string& version,
                                      const std::vector<std::string>& sets) {
  const Search& search = plan.search();
  SearchPlan planned{search.halvings(), {}, {}};
  std::map<std::string, PlannedVariant> searched;
  for (const PlannedVariant& variant : VariantsOf(plan)) {
    const bool own = search.variant().empty() || variant.own_name == search.variant();
    if (own) searched[variant.name] = variant;
    planned.searched_as[variant.name] = own ? variant.name
                                        : variant.backbone.empty()
                                            ? search.variant()
                                            : absl::StrCat(variant.backbone, "_", search.variant());
  }
  ExperimentPlan of_trials = plan;
  *of_trials.mutable_seeds() = search.training_seeds();
  ASSIGN_OR_RETURN(const std::vector<PlannedRun> prototypes,
                   RunsOf(of_trials, version, sets, nullptr, search.set()));
  std::vector<Key> keys;
  std::map<Key, std::vector<PlannedRun>> seeds;
  for (const PlannedRun& run : prototypes) {
    if (searched.count(run.variant) == 0) continue;
    const Key key(run.dataset, run.variant, run.test_fold);
    if (seeds.count(key) == 0) keys.push_back(key);
    seeds[key].push_back(run);
  }
  for (const Key& key : keys) {
    const auto& [dataset, variant, test_fold] = key;
    ASSIGN_OR_RETURN(std::vector<Trial> trials,
                     MakeTrials(plan, searched.at(variant), seeds.at(key), sets));
    planned.searches.push_back({dataset, variant, test_fold, std::move(trials)});
  }
  RETURN_IF_ERROR(CheckRuns(planned, runs));
  std::vector<PlannedRun*> of_all_trials;
  for (VariantSearch& one : planned.searches) {
    for (Trial& trial : one.trials) {
      for (PlannedRun& run : trial.runs) of_all_trials.push_back(&run);
    }
  }
  RETURN_IF_ERROR(SetIdentities(version, of_all_trials));
  return planned;
}

std::vector<PlannedRun> RunsOfTrials(const SearchPlan& search) {
  std::vector<PlannedRun> runs;
  for (const VariantSearch& one : search.searches) {
    for (const Trial& trial : one.trials) {
      if (trial.same_as.has_value()) continue;
      runs.insert(runs.end(), trial.runs.begin(), trial.runs.end());
    }
  }
  return runs;
}

absl::Status ApplyChosen(const SearchPlan& plan, const SearchResults& results,
                         const std::string& version, std::vector<PlannedRun>* runs,
                         std::vector<FailedRun>* failures) {
  std::vector<PlannedRun> with_options;
  for (PlannedRun& run : *runs) {
    const VariantSearch* search = SearchFor(plan, run);
    const SearchedVariant& found =
        results.searches(static_cast<int>(search - plan.searches.data()));
    if (!found.has_chosen()) {
      const auto failed =
          std::find_if(found.trials().begin(), found.trials().end(),
                       [](const SearchedTrial& trial) { return trial.has_failed(); });
      failures->push_back(
          {run.path(), absl::StrCat("has no options, since all trials of ",
                                    ShownVariant(search->variant), " that were left have failed",
                                    failed == found.trials().end()
                                        ? ""
                                        : absl::StrCat("; trial ", failed->trial(), ": ",
                                                       failed->failed().value()))});
      continue;
    }
    const Trial& chosen = search->trials[static_cast<size_t>(found.chosen().value() - 1)];
    ASSIGN_OR_RETURN(run.config, WithAssignments(run.config, AssignmentsOf(chosen.options),
                                                 absl::StrCat("run ", run.path())));
    with_options.push_back(std::move(run));
  }
  std::vector<PlannedRun*> changed;
  for (PlannedRun& run : with_options) changed.push_back(&run);
  RETURN_IF_ERROR(SetIdentities(version, changed));
  *runs = std::move(with_options);
  return absl::OkStatus();
}

}  // namespace cmerc
