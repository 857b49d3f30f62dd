#include "storage/module_state.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/shape.h"

namespace cmerc {
namespace {

constexpr size_t kMostProblems = 10;

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

absl::Status LoadState(const StateDict& state, torch::nn::Module& module,
                       const std::string& source) {
  const StateDict targets = TensorsOf(module);
  std::vector<std::string> problems;
  for (const auto& [name, target] : targets) {
    const auto it = state.find(name);
    if (it == state.end()) {
      problems.push_back(absl::StrCat("it has no ", name));
    } else if (it->second.sizes() != target.sizes()) {
      problems.push_back(absl::StrCat(name, " has shape ", ShapeString(it->second.sizes()),
                                      ", want ", ShapeString(target.sizes())));
    }
  }
  for (const auto& [name, tensor] : state) {
    if (targets.count(name) == 0) problems.push_back(absl::StrCat("the model has no ", name));
  }
  if (!problems.empty()) {
    const size_t more = problems.size() > kMostProblems ? problems.size() - kMostProblems : 0;
    if (more > 0) problems.resize(kMostProblems);
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": these are not the weights of this model: ", absl::StrJoin(problems, "; "),
        more > 0 ? absl::StrCat("; and ", more, " more differences") : "",
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
