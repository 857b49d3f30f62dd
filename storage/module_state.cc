#include "storage/module_state.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/shape.h"

namespace cmerc {
namespace {

constexpr size_t kMostProblems = 10;

// Both kinds of differences, some of each where there are many.
std::string Describe(const StateDifferences& differences) {
  const size_t missing = std::min(differences.missing.size(), kMostProblems);
  const size_t unexpected =
      std::min(differences.unexpected.size(), std::max(kMostProblems - missing, kMostProblems / 2));
  std::vector<std::string> shown(differences.missing.begin(),
                                 differences.missing.begin() + static_cast<ptrdiff_t>(missing));
  shown.insert(shown.end(), differences.unexpected.begin(),
               differences.unexpected.begin() + static_cast<ptrdiff_t>(unexpected));
  const size_t more = differences.size() - shown.size();
  return absl::StrCat(absl::StrJoin(shown, "; "),
                      more > 0 ? absl::StrCat("; and ", more, " more differences") : "");
}

// Where all names in `state` begin with one word ("model.") that a wrapper put there, and are names
// of the model without it: says so.
std::string PrefixNote(const StateDict& state, const StateDict& targets) {
  if (state.empty()) return "";
  const std::string& first = state.begin()->first;
  const std::string prefix = first.substr(0, first.find('.') + 1);
  if (prefix.empty()) return "";
  for (const auto& [name, tensor] : state) {
    const bool known =
        absl::StartsWith(name, prefix) && targets.count(name.substr(prefix.size())) > 0;
    if (!known) return "";
  }
  return absl::StrCat("; without \"", prefix,
                      "\" in front, all of its names are the model's: save them so");
}

}  // namespace

StateDict TensorsOf(const torch::nn::Module& module) {
  StateDict tensors;
  for (const auto& entry : module.named_parameters()) tensors[entry.key()] = entry.value();
  for (const auto& entry : module.named_buffers()) tensors[entry.key()] = entry.value();
  return tensors;
}

StateDict StateOf(const torch::nn::Module& module) {
  StateDict state = TensorsOf(module);
  for (auto& [name, tensor] : state) tensor = tensor.detach().clone();
  return state;
}

StateDifferences CompareState(const StateDict& state, const torch::nn::Module& module) {
  const StateDict targets = TensorsOf(module);
  StateDifferences differences;
  for (const auto& [name, target] : targets) {
    const auto it = state.find(name);
    if (it == state.end()) {
      differences.missing.push_back(absl::StrCat("it has no ", name));
    } else if (it->second.sizes() != target.sizes()) {
      differences.missing.push_back(absl::StrCat(name, " has shape ",
                                                 ShapeString(it->second.sizes()), ", want ",
                                                 ShapeString(target.sizes())));
    }
  }
  for (const auto& [name, tensor] : state) {
    if (targets.count(name) > 0) continue;
    differences.unexpected.push_back(absl::StrCat("the model has no ", name));
  }
  return differences;
}

absl::Status LoadState(const StateDict& state, torch::nn::Module& module,
                       const std::string& source) {
  const StateDict targets = TensorsOf(module);
  const StateDifferences differences = CompareState(state, module);
  if (differences.size() > 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": these are not the weights of this model: ", Describe(differences),
        PrefixNote(state, targets),
        ". Give the config the model was trained with (backbone options, modalities, dataset)"));
  }
  torch::NoGradGuard no_grad;
  for (const auto& [name, target] : targets) torch::Tensor(target).copy_(state.at(name));
  return absl::OkStatus();
}

void CopyState(const torch::nn::Module& from, torch::nn::Module& to) {
  torch::NoGradGuard no_grad;
  const auto copy = [](const auto& sources, auto targets) {
    for (const auto& source : sources) targets[source.key()].copy_(source.value());
  };
  copy(from.named_parameters(), to.named_parameters());
  copy(from.named_buffers(), to.named_buffers());
}

}  // namespace cmerc
