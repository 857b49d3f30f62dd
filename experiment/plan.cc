#include "experiment/plan.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "config/loader.h"
#include "core/status.h"
#include "registry/registry.h"

namespace cmerc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

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
  for (int i = 0; i < plan.datasets_size(); ++i) {
    if (plan.datasets(i).has_baseline()) {
      problems->push_back(
          absl::StrCat("datasets[", i, "].baseline: only a variant has a baseline; remove it"));
    }
  }
}

// A file as the identity of a run knows it.
struct FileIdentity {
  uint64_t size = 0;                      // in bytes
  uint64_t hash = 14695981039346656037u;  // FNV-1a of its bytes
};

// NotFound: the file cannot be read.
absl::StatusOr<FileIdentity> Identify(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  FileIdentity identity;
  std::array<char, 1 << 16> buffer;
  while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
    for (std::streamsize i = 0; i < in.gcount(); ++i) {
      identity.hash = (identity.hash ^ static_cast<unsigned char>(buffer[i])) * 1099511628211u;
    }
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

}  // namespace

std::string PlannedRun::path() const {
  return absl::StrCat(dataset.empty() ? "" : dataset + "/", variant.empty() ? "" : variant + "/",
                      "seed-", seed);
}

absl::StatusOr<ExperimentPlan> LoadPlan(const std::string& path,
                                        std::vector<std::string>* warnings) {
  ExperimentPlan plan;
  RETURN_IF_ERROR(ReadTextFile(path, &plan, warnings));
  std::vector<std::string> problems;
  CheckNames(plan.datasets(), "datasets", &problems);
  CheckNames(plan.variants(), "variants", &problems);
  CheckBaselines(plan, &problems);
  const std::set<uint64_t> seeds(plan.seeds().begin(), plan.seeds().end());
  if (static_cast<int>(seeds.size()) != plan.seeds_size()) {
    problems.push_back("seeds: one occurs twice; it would be the same run again");
  }
  if (plan.parallel_runs() < 0 || plan.parallel_runs() > 1024) {
    problems.push_back(
        absl::StrCat("parallel_runs = ", plan.parallel_runs(), ", must be in [0, 1024]"));
  }
  if (problems.empty()) return plan;
  return absl::InvalidArgumentError(
      absl::StrCat(path, " is not a valid plan:\n  ", absl::StrJoin(problems, "\n  ")));
}

absl::StatusOr<std::vector<PlannedRun>> RunsOf(const ExperimentPlan& plan,
                                               const std::string& version) {
  const std::vector<Variation> nothing(1);
  const std::vector<Variation> datasets(plan.datasets().begin(), plan.datasets().end());
  const std::vector<Variation> variants(plan.variants().begin(), plan.variants().end());
  std::vector<uint64_t> seeds(plan.seeds().begin(), plan.seeds().end());
  if (seeds.empty()) seeds.push_back(plan.base().training().seed());
  std::map<std::string, FileIdentity> files;
  std::vector<PlannedRun> runs;
  for (const uint64_t seed : seeds) {
    for (const Variation& dataset : datasets.empty() ? nothing : datasets) {
      for (const Variation& variant : variants.empty() ? nothing : variants) {
        PlannedRun run{dataset.name(), variant.name(), seed, {}, {}};
        RunConfig threads, last;
        threads.mutable_training()->set_threads(1);
        last.mutable_training()->set_seed(seed);
        ASSIGN_OR_RETURN(run.config,
                         MergeConfigs({threads, plan.base(), dataset.set(), variant.set(), last},
                                      "run " + run.path()));
        if (const int folds = run.config.data().folds(); folds > 0) {
          run.config.mutable_data()->set_fold(static_cast<int>(seed % folds));
        }
        ASSIGN_OR_RETURN(run.identity, IdentityOf(run.config, version, &files));
        runs.push_back(std::move(run));
      }
    }
  }
  return runs;
}

}  // namespace cmerc
