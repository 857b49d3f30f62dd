#include "training/resume.h"

#include <ATen/Context.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "storage/module_state.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr char kModel[] = "model/";
constexpr char kSnapshot[] = "snapshot/";
constexpr char kAverage[] = "average/";
constexpr char kStart[] = "start/";
constexpr char kSteps[] = "adam/steps";
constexpr char kRandomState[] = "random_state";
constexpr char kDeviceRandomState[] = "device_random_state";
constexpr char kConversations[] = "epoch/conversations";
constexpr char kLabels[] = "epoch/labels";
constexpr char kPredictions[] = "epoch/predictions";

// The name of what the loss at this position remembers as `name`.
std::string LossName(size_t position, const std::string& name) {
  return absl::StrCat("loss/", position, "/", name);
}

std::string MomentName(const std::string& parameter, const char* which) {
  return absl::StrCat("adam/", parameter, "/", which);
}

Tensor Numbers(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kInt64); }

std::vector<int64_t> Values(const Tensor& numbers) {
  const auto* const data = numbers.data_ptr<int64_t>();
  return std::vector<int64_t>(data, data + numbers.numel());
}

// Adds the parameters and buffers of `module`, their names with `prefix` before them.
void AddState(const std::string& prefix, const torch::nn::Module& module, StateDict* state) {
  for (const auto& [name, tensor] : TensorsOf(module)) state->emplace(prefix + name, tensor);
}

// The tensors of `state` whose names begin with `prefix`, which their names lose.
StateDict StartingWith(const std::string& prefix, const StateDict& state) {
  StateDict result;
  for (const auto& [name, tensor] : state) {
    if (absl::StartsWith(name, prefix)) {
      result.emplace(std::string(absl::StripPrefix(name, prefix)), tensor);
    }
  }
  return result;
}

// LibTorch's default generator of a device.
at::Generator GeneratorOf(const torch::Device& device) {
  return at::globalContext().defaultGenerator(device);
}

// Where a model draws its random numbers.
torch::Device DeviceOf(const torch::nn::Module& module) {
  const std::vector<Tensor> parameters = module.parameters();
  return parameters.empty() ? torch::Device(torch::kCPU) : parameters[0].device();
}

// The tensors of a resume.pth, by name.
class Tensors {
 public:
  // Both outlive this.
  Tensors(const std::string& path, const StateDict& state) : path_(path), state_(state) {}

  // InvalidArgument: there is none of that name and type.
  absl::StatusOr<Tensor> Get(const std::string& name, torch::ScalarType type) const {
    const auto found = state_.find(name);
    if (found == state_.end()) return Error(absl::StrCat("has no tensor ", name));
    if (found->second.scalar_type() != type) {
      return Error(absl::StrCat("tensor ", name, " is of type ",
                                torch::toString(found->second.scalar_type()), ", want ",
                                torch::toString(type)));
    }
    return found->second;
  }

  // A list of numbers. InvalidArgument: it is not there, or one is not in [0, limit).
  absl::StatusOr<std::vector<int64_t>> Indices(const std::string& name, int64_t limit) const {
    ASSIGN_OR_RETURN(const Tensor tensor, Get(name, torch::kInt64));
    std::vector<int64_t> values = Values(tensor);
    for (const int64_t value : values) {
      if (value < 0 || value >= limit) {
        return Error(absl::StrCat("tensor ", name, " holds ", value, ", want 0 to ", limit - 1));
      }
    }
    return values;
  }

  absl::Status Error(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(
        path_, ": ", what, "; training cannot go on from it, begin again: --overwrite"));
  }

 private:
  const std::string& path_;
  const StateDict& state_;
};

// Adam's moments of `parameter`, which has been stepped `steps` times.
absl::StatusOr<Adam::Moments> ReadMomentsOf(const Tensors& tensors, const std::string& parameter,
                                            const Tensor& value, int64_t steps) {
  Adam::Moments moments;
  moments.steps = steps;
  if (steps < 0) return tensors.Error(absl::StrCat(kSteps, " holds ", steps));
  if (steps == 0) return moments;
  const std::pair<const char*, Tensor*> both[] = {{"first", &moments.first},
                                                  {"second", &moments.second}};
  for (const auto& [which, moment] : both) {
    const std::string name = MomentName(parameter, which);
    ASSIGN_OR_RETURN(*moment, tensors.Get(name, value.scalar_type()));
    if (moment->sizes() != value.sizes()) {
      return tensors.Error(absl::StrCat("tensor ", name, " is not of the shape of its parameter"));
    }
  }
  return moments;
}

absl::StatusOr<std::vector<Adam::Moments>> ReadMoments(const Tensors& tensors,
                                                       const Backbone& model) {
  ASSIGN_OR_RETURN(const Tensor steps, tensors.Get(kSteps, torch::kInt64));
  const auto parameters = model.named_parameters();
  if (steps.numel() != static_cast<int64_t>(parameters.size())) {
    return tensors.Error(absl::StrCat(kSteps, " has ", steps.numel(),
                                      " numbers, want one for each of ", parameters.size(),
                                      " parameters"));
  }
  const std::vector<int64_t> counts = Values(steps);
  std::vector<Adam::Moments> moments;
  for (const auto& parameter : parameters) {
    ASSIGN_OR_RETURN(Adam::Moments one, ReadMomentsOf(tensors, parameter.key(), parameter.value(),
                                                      counts[moments.size()]));
    moments.push_back(std::move(one));
  }
  return moments;
}

absl::StatusOr<EpochProgress> ReadEpoch(const Tensors& tensors, const PartialEpoch& partial,
                                        const PreparedData& data, size_t num_losses) {
  EpochProgress epoch;
  const int64_t classes = data.info.num_classes();
  ASSIGN_OR_RETURN(
      epoch.conversations,
      tensors.Indices(kConversations, static_cast<int64_t>(data.conversations.size())));
  ASSIGN_OR_RETURN(epoch.labels, tensors.Indices(kLabels, classes));
  ASSIGN_OR_RETURN(epoch.predictions, tensors.Indices(kPredictions, classes));
  epoch.steps = partial.steps();
  epoch.skipped = partial.skipped_steps();
  epoch.without_labels = partial.steps_without_labels();
  epoch.total = partial.total_loss();
  epoch.losses.assign(partial.losses().begin(), partial.losses().end());
  if (epoch.conversations.empty() || epoch.labels.size() != epoch.predictions.size() ||
      epoch.steps < 0 || epoch.skipped < 0 || epoch.skipped > epoch.steps ||
      epoch.without_labels < 0 || epoch.without_labels > epoch.steps - epoch.skipped ||
      epoch.losses.size() != num_losses) {
    return tensors.Error("what it says of the interrupted epoch contradicts itself");
  }
  return epoch;
}

// What each loss remembers: its own tensor, and what that held.
using LossStates = std::vector<std::pair<Tensor, Tensor>>;

absl::StatusOr<LossStates> ReadLossStates(const Tensors& tensors,
                                          const std::vector<WeightedLoss>& losses) {
  LossStates states;
  for (size_t i = 0; i < losses.size(); ++i) {
    for (const auto& [name, own] : losses[i].loss->State()) {
      ASSIGN_OR_RETURN(Tensor held, tensors.Get(LossName(i, name), own.scalar_type()));
      if (held.sizes() != own.sizes()) {
        return tensors.Error(absl::StrCat("tensor ", LossName(i, name),
                                          " is not of the shape that ", losses[i].name, " has"));
      }
      states.emplace_back(own, std::move(held));
    }
  }
  return states;
}

// What the default generators stand at.
struct RandomStates {
  Tensor cpu;
  Tensor device;  // undefined for a model on the CPU
};

absl::StatusOr<RandomStates> ReadRandomStates(const Tensors& tensors, const torch::Device& device) {
  RandomStates states;
  ASSIGN_OR_RETURN(states.cpu, tensors.Get(kRandomState, torch::kUInt8));
  if (device.is_cuda()) {
    ASSIGN_OR_RETURN(states.device, tensors.Get(kDeviceRandomState, torch::kUInt8));
  }
  return states;
}

// InvalidArgument: `checkpoint` says nothing of a stage's progress, or what cannot be, or is of
// other data than that with `data_digest`.
absl::Status CheckProgress(const std::string& path, const Tensors& tensors,
                           const Checkpoint& checkpoint, uint64_t data_digest) {
  if (!checkpoint.metadata.has_value() || !checkpoint.metadata->has_progress()) {
    return tensors.Error("is a checkpoint, but does not say how far training was");
  }
  const TrainingProgress& progress = checkpoint.metadata->progress();
  if (progress.epochs() < 0 || progress.has_best() != (progress.epochs() > 0) ||
      progress.averaged_steps() < 0 ||
      (progress.has_best() ? progress.selected_epoch() < 1 : progress.has_selected_epoch()) ||
      progress.selected_epoch() > progress.epochs()) {
    return tensors.Error("what it says of the epochs contradicts itself");
  }
  if (progress.data_digest() == data_digest) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path,
                   ": the run was begun with other data than its config names now; put them back "
                   "as they were, or begin again: --overwrite"));
}

// Adam's moments and the number of steps of every parameter of the model.
void AddMoments(const TrainingState& state, StateDict* tensors) {
  const std::vector<Adam::Moments> moments = state.optimizer.GetMoments();
  std::vector<int64_t> steps;
  for (const auto& parameter : state.live.named_parameters()) {
    const Adam::Moments& one = moments[steps.size()];
    steps.push_back(one.steps);
    if (one.steps == 0) continue;
    tensors->emplace(MomentName(parameter.key(), "first"), one.first);
    tensors->emplace(MomentName(parameter.key(), "second"), one.second);
  }
  tensors->emplace(kSteps, Numbers(steps));
}

// The interrupted epoch: its lists and snapshot as tensors, its numbers into `partial`.
void AddEpoch(const TrainingState& state, StateDict* tensors, PartialEpoch* partial) {
  const EpochProgress& epoch = state.epoch;
  if (state.snapshot != nullptr) AddState(kSnapshot, *state.snapshot, tensors);
  tensors->emplace(kConversations, Numbers(epoch.conversations));
  tensors->emplace(kLabels, Numbers(epoch.labels));
  tensors->emplace(kPredictions, Numbers(epoch.predictions));
  partial->set_steps(epoch.steps);
  partial->set_skipped_steps(epoch.skipped);
  if (epoch.without_labels > 0) partial->set_steps_without_labels(epoch.without_labels);
  partial->set_total_loss(epoch.total);
  partial->mutable_losses()->Assign(epoch.losses.begin(), epoch.losses.end());
}

}  // namespace

absl::Status SaveTrainingState(const std::string& path, const TrainingState& state,
                               const CheckpointMetadata& metadata) {
  StateDict tensors;
  AddState(kModel, state.live, &tensors);
  AddMoments(state, &tensors);
  if (state.average != nullptr) AddState(kAverage, *state.average, &tensors);
  for (const auto& [name, tensor] : state.start) tensors.emplace(kStart + name, tensor);
  for (size_t i = 0; i < state.losses.size(); ++i) {
    for (const auto& [name, tensor] : state.losses[i].loss->State()) {
      tensors.emplace(LossName(i, name), tensor);
    }
  }
  tensors.emplace(kRandomState, GeneratorOf(torch::kCPU).get_state());
  const torch::Device device = DeviceOf(state.live);
  if (device.is_cuda()) tensors.emplace(kDeviceRandomState, GeneratorOf(device).get_state());
  CheckpointMetadata described = metadata;
  TrainingProgress& progress = *described.mutable_progress();
  progress = state.progress;
  progress.clear_partial_epoch();
  if (!state.epoch.conversations.empty()) {
    AddEpoch(state, &tensors, progress.mutable_partial_epoch());
  }
  return WriteCheckpoint(path, tensors, described);
}

absl::Status RestoreTrainingState(const std::string& path, const PreparedData& data,
                                  TrainingState* state, CheckpointMetadata* metadata) {
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadCheckpoint(path));
  const Tensors tensors(path, checkpoint.state);
  RETURN_IF_ERROR(CheckProgress(path, tensors, checkpoint, state->progress.data_digest()));
  const TrainingProgress& progress = checkpoint.metadata->progress();
  const torch::Device device = DeviceOf(state->live);
  ASSIGN_OR_RETURN(const std::vector<Adam::Moments> moments, ReadMoments(tensors, state->live));
  ASSIGN_OR_RETURN(const RandomStates random_states, ReadRandomStates(tensors, device));
  ASSIGN_OR_RETURN(const LossStates loss_states, ReadLossStates(tensors, state->losses));
  EpochProgress epoch;
  if (progress.has_partial_epoch()) {
    ASSIGN_OR_RETURN(epoch,
                     ReadEpoch(tensors, progress.partial_epoch(), data, state->losses.size()));
    if (state->snapshot != nullptr) {
      RETURN_IF_ERROR(LoadState(StartingWith(kSnapshot, checkpoint.state), *state->snapshot, path));
    }
  }
  RETURN_IF_ERROR(LoadState(StartingWith(kModel, checkpoint.state), state->live, path));
  if (state->average != nullptr) {
    RETURN_IF_ERROR(LoadState(StartingWith(kAverage, checkpoint.state), *state->average, path));
  }
  const absl::Status restored = CatchTorch([&] {
    GeneratorOf(torch::kCPU).set_state(random_states.cpu);
    if (device.is_cuda()) GeneratorOf(device).set_state(random_states.device);
    state->optimizer.SetMoments(moments);
    const torch::NoGradGuard no_grad;
    for (const auto& [own, held] : loss_states) Tensor(own).copy_(held);
  });
  if (!restored.ok()) return tensors.Error(std::string(restored.message()));
  state->progress = progress;
  state->progress.clear_partial_epoch();
  state->epoch = std::move(epoch);
  state->start = StartingWith(kStart, checkpoint.state);
  *metadata = *checkpoint.metadata;
  return absl::OkStatus();
}

}  // namespace cmerc
