#include "training/starting_weights.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/printable.h"
#include "core/shape.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "registry/registry.h"
#include "storage/module_state.h"

namespace cmerc {
namespace {

using torch::Tensor;
using Names = std::set<std::string>;
using Patterns = google::protobuf::RepeatedPtrField<std::string>;

// Differences, or names, that a message lists.
constexpr size_t kMostListed = 40;

bool FitsAny(const std::string& name, const Patterns& patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return FitsPattern(name, pattern); });
}

// Some of `texts`, with `separator` between them, and how many there are more.
std::string Listed(const std::vector<std::string>& texts, absl::string_view separator) {
  const size_t shown = std::min(texts.size(), kMostListed);
  const size_t more = texts.size() - shown;
  return absl::StrCat(
      absl::StrJoin(texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(shown), separator),
      more > 0 ? absl::StrCat(separator, "and ", more, " more") : "");
}

// What is wrong with the tensor `name` of the file for the model's; "" where it fits.
std::string WhatIsWrong(const std::string& name, const StateDict& file, const StateDict& model) {
  const auto there = file.find(name), here = model.find(name);
  if (there == file.end()) return absl::StrCat("the file has no ", name);
  if (here == model.end()) return absl::StrCat("the model has no ", Printable(name));
  if (there->second.sizes() != here->second.sizes()) {
    return absl::StrCat(name, " has shape ", ShapeString(there->second.sizes()), ", want ",
                        ShapeString(here->second.sizes()));
  }
  if (!there->second.to(here->second.scalar_type()).isfinite().all().item<bool>()) {
    return absl::StrCat(name, " holds numbers that are not finite");
  }
  return "";
}

// Patterns that fit the names `bad` and none of the other `names`: "fc.*" for "fc.weight" and
// "fc.bias" where nothing else begins so.
std::vector<std::string> PatternsOf(const Names& bad, const Names& names) {
  std::vector<std::string> patterns;
  for (const std::string& name : bad) {
    if (std::any_of(patterns.begin(), patterns.end(),
                    [&](const std::string& pattern) { return FitsPattern(name, pattern); })) {
      continue;
    }
    std::string pattern = name;
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
      const std::string begin = name.substr(0, dot + 1);
      const bool all_bad = std::all_of(names.begin(), names.end(), [&](const std::string& other) {
        return !absl::StartsWith(other, begin) || bad.count(other) > 0;
      });
      if (!all_bad) continue;
      pattern = begin + "*";
      break;
    }
    patterns.push_back(std::move(pattern));
  }
  return patterns;
}

// "; its own backbone is cmerc.GruOptions", where the checkpoint says it, or "".
std::string OtherModel(const Checkpoint& checkpoint) {
  if (!checkpoint.metadata.has_value()) return "";
  return absl::StrCat("; its own backbone is ",
                      PluginType(checkpoint.metadata->config().backbone()));
}

// Says of every pattern that fits none of `names`.
void CheckPatterns(const std::string& field, const Patterns& patterns, const Names& names,
                   std::vector<std::string>* problems) {
  for (const std::string& pattern : patterns) {
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string& name) { return FitsPattern(name, pattern); })) {
      continue;
    }
    problems->push_back(absl::StrCat(
        "training.", field, ": \"", pattern, "\" fits no name in the model or in the file; names: ",
        Listed(std::vector<std::string>(names.begin(), names.end()), ", ")));
  }
}

// The names of the taken tensors that have one row for each of `count`, for messages.
std::vector<std::string> WithRows(const StateDict& taken, int64_t count) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : taken) {
    if (tensor.dim() > 0 && tensor.size(0) == count) names.push_back(name);
  }
  return names;
}

// What may be taken for something else, since weights have no names for their rows: those of
// classes, speakers and modalities in another order or of another meaning; or "".
std::string WarningOf(const StateDict& taken, const DatasetDescription& theirs,
                      const DatasetInfo& ours) {
  std::vector<std::string> warnings;
  const auto differ = [](const auto& ours_names, const auto& theirs_names) {
    return !theirs_names.empty() && !ours_names.empty() &&
           !std::equal(ours_names.begin(), ours_names.end(), theirs_names.begin(),
                       theirs_names.end());
  };
  const auto add = [&](const std::string& one, const std::string& all, const auto& theirs_names,
                       const auto& ours_names) {
    // Of another number of them no tensor with such rows has fitted.
    const bool as_many = ours_names.size() == static_cast<size_t>(theirs_names.size());
    if (!as_many || !differ(ours_names, theirs_names)) return;
    const std::vector<std::string> rows = WithRows(taken, static_cast<int64_t>(ours_names.size()));
    if (rows.empty()) return;
    warnings.push_back(absl::StrCat(
        "it was trained on the ", all, " ", Listed({theirs_names.begin(), theirs_names.end()}, " "),
        ", in that order, and this run has ", Listed({ours_names.begin(), ours_names.end()}, " "),
        ": leave what has a row for each ", one, " out (init_skip) unless they mean the same; ",
        Listed(rows, ", "), rows.size() == 1 ? " may be such" : " may be such ones"));
  };
  add("class", "classes", theirs.class_names(), ours.class_names);
  add("speaker", "speakers", theirs.speaker_names(), ours.speaker_names);
  std::vector<std::string> modalities, others;
  for (const auto& modality : theirs.modalities()) others.push_back(modality.name());
  for (const ModalityInfo& modality : ours.modalities) modalities.push_back(modality.name);
  if (differ(modalities, others)) {
    warnings.push_back(absl::StrCat("it was trained on the modalities ", Listed(others, " "),
                                    ", in that order, and this run has ", Listed(modalities, " "),
                                    ": weights are taken by their names, which may be those of a "
                                    "modality's position"));
  }
  return absl::StrJoin(warnings, "; ");
}

}  // namespace

bool FitsPattern(absl::string_view name, absl::string_view pattern) {
  // Where the last * was met: the place after it, and the first character that it may leave.
  size_t star = absl::string_view::npos, left = 0;
  size_t n = 0, p = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      left = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != absl::string_view::npos) {
      p = star;
      n = ++left;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == absl::string_view::npos;
}

absl::StatusOr<StartingWeights> ChooseStartingWeights(const TrainingConfig& training,
                                                      const Checkpoint& checkpoint,
                                                      const DatasetInfo& info,
                                                      const torch::nn::Module& model) {
  const StateDict targets = TensorsOf(model);
  Names names, wanted, bad;
  for (const StateDict* state : {&targets, &checkpoint.state}) {
    for (const auto& [name, tensor] : *state) names.insert(name);
  }
  std::vector<std::string> problems, differences;
  CheckPatterns("init_parameters", training.init_parameters(), names, &problems);
  CheckPatterns("init_skip", training.init_skip(), names, &problems);
  for (const std::string& name : names) {
    const bool asked_for =
        training.init_parameters().empty() || FitsAny(name, training.init_parameters());
    if (!asked_for || FitsAny(name, training.init_skip())) continue;
    wanted.insert(name);
    std::string difference = WhatIsWrong(name, checkpoint.state, targets);
    if (difference.empty()) continue;
    bad.insert(name);
    differences.push_back(std::move(difference));
  }
  const std::string file = absl::StrCat("training.init_checkpoint = ", training.init_checkpoint());
  if (bad.size() == wanted.size()) {
    problems.push_back(absl::StrCat(
        file, ": nothing in it is taken: ",
        wanted.empty() ? "init_parameters and init_skip leave nothing"
                       : absl::StrCat("no tensor fits this model: ", Listed(differences, "; ")),
        OtherModel(checkpoint)));
  } else if (!bad.empty()) {
    std::vector<std::string> quoted;
    for (const std::string& pattern : PatternsOf(bad, names)) {
      quoted.push_back(absl::StrCat("\"", Printable(pattern), "\""));
    }
    for (const std::string& pattern : training.init_skip()) {
      quoted.push_back(absl::StrCat("\"", pattern, "\""));
    }
    problems.push_back(absl::StrCat(file, ": ", bad.size(), " of ", wanted.size(),
                                    " tensors do not fit this model: ", Listed(differences, "; "),
                                    2 * bad.size() > wanted.size() ? OtherModel(checkpoint) : "",
                                    "; to leave them out, and to start those of the model as the "
                                    "seed draws them: --set='training { init_skip: [",
                                    absl::StrJoin(quoted, ", "), "] }'"));
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));

  StartingWeights start;
  start.report.set_checkpoint(training.init_checkpoint());
  for (const std::string& name : names) {
    if (wanted.count(name) > 0) {
      start.taken.emplace(name, checkpoint.state.at(name));
    } else {
      if (targets.count(name) > 0) start.report.add_fresh(name);
      if (checkpoint.state.count(name) > 0) start.report.add_unused(name);
    }
  }
  start.report.set_tensors(static_cast<int>(start.taken.size()));
  if (!checkpoint.metadata.has_value()) return start;
  if (checkpoint.metadata->has_epoch()) start.report.set_epoch(checkpoint.metadata->epoch());
  const std::string warning = WarningOf(start.taken, checkpoint.metadata->dataset(), info);
  if (!warning.empty()) start.report.set_warning(absl::StrCat(file, ": ", warning));
  return start;
}

absl::Status StartWith(const StartingWeights& start, torch::nn::Module& model) {
  const StateDict targets = TensorsOf(model);
  for (const auto& [name, tensor] : start.taken) {
    const auto target = targets.find(name);
    if (target == targets.end() || target->second.sizes() != tensor.sizes()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the model has no ", name, " of shape ", ShapeString(tensor.sizes())));
    }
  }
  return CatchTorch([&] {
    const torch::NoGradGuard no_grad;
    for (const auto& [name, tensor] : start.taken) Tensor(targets.at(name)).copy_(tensor);
  });
}

std::string DescribeStart(const StartReport& report) {
  const std::vector<std::string> fresh(report.fresh().begin(), report.fresh().end());
  const std::vector<std::string> unused(report.unused().begin(), report.unused().end());
  return absl::StrCat(
      "starts with ", report.tensors(), " of ", report.tensors() + report.fresh_size(),
      " tensors of ", Printable(report.checkpoint()),
      report.has_epoch() ? absl::StrCat(" (epoch ", report.epoch(), ")") : "",
      fresh.empty() ? "" : absl::StrCat("; as the seed draws them: ", Listed(fresh, ", ")),
      unused.empty() ? "" : absl::StrCat("; unused: ", Printable(Listed(unused, ", "))));
}

}  // namespace cmerc
