#include "experiment/plan.h"

#include <google/protobuf/text_format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <numeric>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "config/loader.h"
#include "core/status.h"
#include "experiment/draws.h"
#include "experiment/fnv1a.h"
#include "registry/registry.h"

namespace cmerc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kMostJobs = 1024;

bool IsName(const std::string& name) {
  return !name.empty() && name[0] != '.' && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
  });
}

void CheckNames(const google::protobuf::RepeatedPtrField<Variation>& variations,
                const std::string& field, std::vector<std::string>* problems) {
  std::set<std::string> seen;
  for (int i = 0; i < variations.size(); ++i) {
    const std::string& name = variations[i].name();
    const std::string place = absl::StrCat(field, "[", i, "].name = \"", name, "\"");
    if (!IsName(name)) {
      problems->push_back(
          absl::StrCat(place, ", must be made of letters, digits, '_', '-' and '.'"));
    } else if (!seen.insert(name).second) {
      problems->push_back(absl::StrCat(place, " occurs twice; give each a name of its own"));
    }
  }
}

void CheckBaselines(const ExperimentPlan& plan, std::vector<std::string>* problems) {
  std::vector<std::string> names;
  for (const Variation& variant : plan.variants()) names.push_back(variant.name());
  for (int i = 0; i < plan.variants_size(); ++i) {
    const Variation& variant = plan.variants(i);
    if (!variant.has_baseline()) continue;
    if (variant.baseline() == variant.name() ||
        std::find(names.begin(), names.end(), variant.baseline()) == names.end()) {
      problems->push_back(
          absl::StrCat("variants[", i, "].baseline = \"", variant.baseline(),
                       "\", must be another variant: ", absl::StrJoin(names, ", ")));
    }
  }
  const auto has_none = [&](const auto& variations, const std::string& field) {
    for (int i = 0; i < variations.size(); ++i) {
      if (!variations[i].has_baseline()) continue;
      problems->push_back(
          absl::StrCat(field, "[", i, "].baseline: only a variant has a baseline; remove it"));
    }
  };
  has_none(plan.datasets(), "datasets");
  has_none(plan.backbones(), "backbones");
}

// "a_b" of "a" and "b" can be that of other names, too.
void CheckVariantNames(const ExperimentPlan& plan, std::vector<std::string>* problems) {
  std::set<std::string> seen;
  for (const PlannedVariant& variant : VariantsOf(plan)) {
    if (seen.insert(variant.name).second) continue;
    problems->push_back(absl::StrCat("backbones: two of them make a variant ", variant.name,
                                     "; give one another name"));
  }
}

// A file as the identity of a run knows it.
struct FileIdentity {
  uint64_t size = 0;                // in bytes
  uint64_t hash = kFnv1aOfNothing;  // of its bytes
};

// NotFound: the file cannot be read.
absl::StatusOr<FileIdentity> Identify(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  FileIdentity identity;
  std::array<char, 1 << 16> buffer;
  while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
    identity.hash = Fnv1a({buffer.data(), static_cast<size_t>(in.gcount())}, identity.hash);
    identity.size += in.gcount();
  }
  if (!in.eof()) {
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot be read: ", std::strerror(errno), "; check its permissions"));
  }
  return identity;
}

// The strings of a config, those in the options of plugins included.
void CollectStrings(const Message& message, std::set<std::string>* strings) {
  if (const auto* any = dynamic_cast<const google::protobuf::Any*>(&message)) {
    for (const RegistryBase* registry : AllRegistries()) {
      const auto options = registry->Unpack(*any);
      if (!options.ok()) continue;
      CollectStrings(**options, strings);
      return;
    }
    return;
  }
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    const bool is_string = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    if (!is_message && !is_string) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (is_message) {
        CollectStrings(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                            : reflection.GetMessage(message, field),
                       strings);
      } else {
        strings->insert(field->is_repeated() ? reflection.GetRepeatedString(message, field, i)
                                             : reflection.GetString(message, field));
      }
    }
  }
}

// PlannedRun::identity of a run with this config. `files` is what is known of files already, by
// path; what is read is added to it.
absl::StatusOr<std::string> IdentityOf(const RunConfig& config, const std::string& version,
                                       std::map<std::string, FileIdentity>* files) {
  std::string text = absl::StrCat("# cmerc ", version, "\n");
  std::set<std::string> strings;
  CollectStrings(config, &strings);
  for (const std::string& path : strings) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    auto known = files->find(path);
    if (known == files->end()) {
      ASSIGN_OR_RETURN(const FileIdentity file, Identify(path));
      known = files->emplace(path, file).first;
    }
    absl::StrAppendFormat(&text, "# %s: %d bytes, FNV-1a %016x\n", path, known->second.size,
                          known->second.hash);
  }
  return text + ResolvedConfig(config);
}

// Adds `run`, or one for each part that it is to be tested on. InvalidArgument: its config names
// one of these.
absl::Status AddRuns(PlannedRun run, const std::string& version,
                     std::map<std::string, FileIdentity>* files, std::vector<PlannedRun>* runs) {
  const int test_folds = run.config.data().test_folds();
  if (run.config.data().test_fold() != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("run ", run.path(), ": data.test_fold = ", run.config.data().test_fold(),
                     ", but an experiment tests on each of the ", test_folds,
                     " parts and scores them together; leave it out"));
  }
  for (int fold = 0; fold < std::max(1, test_folds); ++fold) {
    PlannedRun one = run;
    if (test_folds > 0) {
      one.test_fold = fold;
      one.config.mutable_data()->set_test_fold(fold);
    }
    ASSIGN_OR_RETURN(one.identity, IdentityOf(one.config, version, files));
    runs->push_back(std::move(one));
  }
  return absl::OkStatus();
}

// InvalidArgument: what --set makes of the config of a run is what its seed decides.
absl::Status CheckSets(const RunConfig& without, const RunConfig& with) {
  if (with.training().seed() != without.training().seed()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--set: training.seed = ", with.training().seed(),
        ", but the plan gives every run its seed; write --seeds=", with.training().seed()));
  }
  if (with.data().fold() != without.data().fold()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--set: data.fold = ", with.data().fold(),
                     ", but a run validates on the part seed mod data.folds; choose the seeds: "
                     "--seeds=",
                     with.data().fold()));
  }
  return absl::OkStatus();
}

// More seeds are a slip of the hand.
constexpr uint64_t kMostSeeds = 1000;

// The seeds of one part of --seeds: "3", or "1-5". InvalidArgument: it is neither.
absl::StatusOr<std::vector<uint64_t>> SeedsIn(absl::string_view part) {
  const size_t dash = part.find('-');
  const absl::string_view from = part.substr(0, dash);
  const absl::string_view to = dash == absl::string_view::npos ? from : part.substr(dash + 1);
  uint64_t first = 0, last = 0;
  // SimpleAtoi() takes signs and spaces.
  const auto is_number = [](absl::string_view text, uint64_t* number) {
    return std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
           absl::SimpleAtoi(text, number);
  };
  if (!is_number(from, &first) || !is_number(to, &last) || last < first) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", part, "\", want seeds as in --seeds=1,2,3 or --seeds=1-5"));
  }
  if (last - first >= kMostSeeds) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", part, "\" is more than ", kMostSeeds, " seeds; name fewer"));
  }
  std::vector<uint64_t> seeds(last - first + 1);
  std::iota(seeds.begin(), seeds.end(), first);
  return seeds;
}

}  // namespace

absl::Status SetIdentities(const std::string& version, const std::vector<PlannedRun*>& runs) {
  std::map<std::string, FileIdentity> files;
  for (PlannedRun* run : runs) {
    ASSIGN_OR_RETURN(run->identity, IdentityOf(run->config, version, &files));
  }
  return absl::OkStatus();
}

absl::Status ChangePlan(const PlanChanges& changes, ExperimentPlan* plan) {
  if (changes.seeds.has_value()) {
    plan->clear_seeds();
    std::set<uint64_t> seen;
    for (const absl::string_view part : absl::StrSplit(*changes.seeds, ',')) {
      ASSIGN_OR_RETURN(const std::vector<uint64_t> seeds,
                       Annotate(SeedsIn(part), absl::StrCat("--seeds=", *changes.seeds)));
      for (const uint64_t seed : seeds) {
        if (!seen.insert(seed).second) {
          return absl::InvalidArgumentError(
              absl::StrCat("--seeds=", *changes.seeds, ": ", seed,
                           " occurs twice; it would be the same run again"));
        }
        plan->add_seeds(seed);
      }
    }
    if (seen.size() > kMostSeeds) {
      return absl::InvalidArgumentError(absl::StrCat("--seeds=", *changes.seeds, ": more than ",
                                                     kMostSeeds, " seeds; name fewer"));
    }
  }
  if (!changes.jobs.has_value()) return absl::OkStatus();
  int32_t jobs = 0;
  if (!absl::SimpleAtoi(*changes.jobs, &jobs) || jobs < 0 || jobs > kMostJobs) {
    return absl::InvalidArgumentError(
        absl::StrCat("--jobs=", *changes.jobs, ", must be a number of runs in [0, ", kMostJobs,
                     "] to do at the same time; 0 means one per processor"));
  }
  plan->set_parallel_runs(jobs);
  return absl::OkStatus();
}

std::string PlanText(const ExperimentPlan& plan, const std::string& version,
                     const std::vector<std::string>& sets) {
  std::string text =
      absl::StrCat("# proto-file: experiment/plan.proto\n# proto-message: cmerc.ExperimentPlan\n",
                   "#\n# The plan of the experiment in this folder; cmerc ", version,
                   " wrote it when that was begun last.\n");
  for (const std::string& set : sets) {
    absl::StrAppend(&text, "# --set='", absl::StrReplaceAll(set, {{"\n", " "}, {"\r", " "}}),
                    "'\n");
  }
  google::protobuf::TextFormat::Printer printer;
  printer.SetExpandAny(true);
  printer.SetUseUtf8StringEscaping(true);
  std::string fields;
  printer.PrintToString(plan, &fields);
  return text + fields;
}

std::vector<PlannedVariant> VariantsOf(const ExperimentPlan& plan) {
  std::vector<PlannedVariant> variants;
  for (const Variation& variant : plan.variants()) {
    variants.push_back({variant.name(), variant.baseline(), {variant.set()}, "", variant.name()});
  }
  if (variants.empty()) variants.emplace_back();
  if (plan.backbones().empty()) return variants;
  std::vector<PlannedVariant> of_backbones;
  for (const Variation& backbone : plan.backbones()) {
    for (const PlannedVariant& variant : variants) {
      PlannedVariant one{backbone.name(), "", {backbone.set()}, backbone.name(), variant.name};
      if (!variant.name.empty()) absl::StrAppend(&one.name, "_", variant.name);
      if (!variant.baseline.empty()) one.baseline = backbone.name() + "_" + variant.baseline;
      one.layers.insert(one.layers.end(), variant.layers.begin(), variant.layers.end());
      of_backbones.push_back(std::move(one));
    }
  }
  return of_backbones;
}

std::string PlannedRun::path() const {
  return absl::StrCat(dataset.empty() ? "" : dataset + "/", variant.empty() ? "" : variant + "/",
                      trial.has_value() ? absl::StrCat("trial-", *trial, "/") : "", "seed-", seed,
                      test_fold.has_value() ? absl::StrCat("-test-", *test_fold) : "");
}

absl::StatusOr<ExperimentPlan> LoadPlan(const std::string& path,
                                        std::vector<std::string>* warnings) {
  ExperimentPlan plan;
  RETURN_IF_ERROR(ReadTextFile(path, &plan, warnings));
  std::vector<std::string> problems;
  CheckNames(plan.datasets(), "datasets", &problems);
  CheckNames(plan.variants(), "variants", &problems);
  CheckNames(plan.backbones(), "backbones", &problems);
  CheckBaselines(plan, &problems);
  if (problems.empty()) CheckVariantNames(plan, &problems);
  CheckDraws(plan, &problems);
  const std::set<uint64_t> seeds(plan.seeds().begin(), plan.seeds().end());
  if (static_cast<int>(seeds.size()) != plan.seeds_size()) {
    problems.push_back("seeds: one occurs twice; it would be the same run again");
  }
  if (plan.parallel_runs() < 0 || plan.parallel_runs() > kMostJobs) {
    problems.push_back(absl::StrCat("parallel_runs = ", plan.parallel_runs(), ", must be in [0, ",
                                    kMostJobs, "]"));
  }
  if (problems.empty()) return plan;
  return absl::InvalidArgumentError(
      absl::StrCat(path, " is not a valid plan:\n  ", absl::StrJoin(problems, "\n  ")));
}

absl::StatusOr<std::vector<PlannedRun>> RunsOf(const ExperimentPlan& plan,
                                               const std::string& version,
                                               const std::vector<std::string>& sets,
                                               std::vector<std::string>* warnings,
                                               const RunConfig& over) {
  const std::vector<Variation> nothing(1);
  const std::vector<Variation> datasets(plan.datasets().begin(), plan.datasets().end());
  const std::vector<PlannedVariant> variants = VariantsOf(plan);
  std::vector<uint64_t> seeds(plan.seeds().begin(), plan.seeds().end());
  if (seeds.empty()) seeds.push_back(plan.base().training().seed());
  std::map<std::string, FileIdentity> files;
  std::vector<PlannedRun> runs;
  RunConfig threads;
  threads.mutable_training()->set_threads(1);
  for (const uint64_t seed : seeds) {
    for (const Variation& dataset : datasets.empty() ? nothing : datasets) {
      for (const PlannedVariant& variant : variants) {
        PlannedRun run{dataset.name(), variant.name, seed, {}, {}};
        std::vector<RunConfig> layers = {threads, plan.base(), dataset.set()};
        layers.insert(layers.end(), variant.layers.begin(), variant.layers.end());
        layers.push_back(over);
        const std::string source = "run " + run.path();
        ASSIGN_OR_RETURN(run.config, MergeConfigs(layers, source, sets, warnings));
        if (runs.empty() && !sets.empty()) {
          ASSIGN_OR_RETURN(const RunConfig without, MergeConfigs(layers, source));
          RETURN_IF_ERROR(CheckSets(without, run.config));
        }
        run.config.mutable_training()->set_seed(seed);
        if (const int folds = run.config.data().folds(); folds > 0) {
          run.config.mutable_data()->set_fold(static_cast<int>(seed % folds));
        }
        RETURN_IF_ERROR(AddRuns(std::move(run), version, &files, &runs));
      }
    }
  }
  return runs;
}

}  // namespace cmerc
