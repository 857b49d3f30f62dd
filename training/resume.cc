#include "training/resume.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/torch_status.h"
#include "storage/module_state.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr char kModel[] = "model/";
constexpr char kSnapshot[] = "snapshot/";
constexpr char kSteps[] = "adam/steps";
constexpr char kRandomState[] = "random_state";
constexpr char kDeviceRandomState[] = "device_random_state";
constexpr char kConversations[] = "epoch/conversations";
constexpr char kLabels[] = "epoch/labels";
constexpr char kPredictions[] = "epoch/predictions";

std::string MomentName(const std::string& parameter, const char* which) {
  return absl::StrCat("adam/", parameter, "/", which);
}

// FNV-1a over words of 8 bytes, and what is left over by the byte.
class Digest {
 public:
  void Add(const void* data, size_t size) {
    const char* bytes = static_cast<const char*>(data);
    for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), bytes += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, bytes, sizeof(word));
      Mix(word);
    }
    for (; size > 0; --size) Mix(static_cast<unsigned char>(*bytes++));
  }
  void Add(const Tensor& tensor) {
    for (const int64_t extent : tensor.sizes()) Mix(static_cast<uint64_t>(extent));
    const Tensor dense = tensor.contiguous();
    Add(dense.data_ptr(), dense.nbytes());
  }
  void Add(const std::string& text) {
    Mix(text.size());
    Add(text.data(), text.size());
  }
  void Add(const std::vector<int64_t>& numbers) {
    Mix(numbers.size());
    Add(numbers.data(), numbers.size() * sizeof(int64_t));
  }
  uint64_t value() const { return hash_; }

 private:
  void Mix(uint64_t word) { hash_ = (hash_ ^ word) * 1099511628211u; }
  uint64_t hash_ = 14695981039346656037u;
};

Tensor Numbers(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kInt64); }

std::vector<int64_t> Values(const Tensor& numbers) {
  const auto* const data = numbers.data_ptr<int64_t>();
  return std::vector<int64_t>(data, data + numbers.numel());
}

void AddState(const std::string& prefix, const torch::nn::Module& module, StateDict* state) {
  for (const auto& [name, tensor] : TensorsOf(module)) state->emplace(prefix + name, tensor);
}

StateDict Without(const std::string& prefix, const StateDict& state) {
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
  Tensors(const std::string& path, const StateDict& state) : path_(path), state_(state) {}

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

  // A list of numbers in [0, limit).
  absl::StatusOr<std::vector<int64_t>> Indices(const std::string& name, int64_t limit) const {
    const absl::StatusOr<Tensor> tensor = Get(name, torch::kInt64);
    if (!tensor.ok()) return tensor.status();
    std::vector<int64_t> values = Values(*tensor);
    for (const int64_t value : values) {
      if (value < 0 || value >= limit) {
        return Error(absl::StrCat("tensor ", name, " holds ", value, ", want 0 to ", limit - 1));
      }
    }
    return values;
  }

  absl::Status Error(const std::string& what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": ", what, "; it cannot be gone on with, begin again: --overwrite"));
  }

 private:
  const std::string& path_;
  const StateDict& state_;
};

absl::StatusOr<std::vector<Adam::Moments>> ReadMoments(const Tensors& tensors,
                                                       const Backbone& model) {
  const absl::StatusOr<Tensor> steps = tensors.Get(kSteps, torch::kInt64);
  if (!steps.ok()) return steps.status();
  const auto parameters = model.named_parameters();
  if (steps->numel() != static_cast<int64_t>(parameters.size())) {
    return tensors.Error(absl::StrCat(kSteps, " has ", steps->numel(),
                                      " numbers, want one for each ", "of ", parameters.size(),
                                      " parameters"));
  }
  const std::vector<int64_t> counts = Values(*steps);
  std::vector<Adam::Moments> moments;
  for (const auto& parameter : parameters) {
    Adam::Moments& one = moments.emplace_back();
    one.steps = counts[moments.size() - 1];
    if (one.steps < 0) return tensors.Error(absl::StrCat(kSteps, " holds ", one.steps));
    if (one.steps == 0) continue;
    for (const auto& [which, moment] :
         {std::make_pair("first", &one.first), std::make_pair("second", &one.second)}) {
      const std::string name = MomentName(parameter.key(), which);
      const absl::StatusOr<Tensor> read = tensors.Get(name, parameter.value().scalar_type());
      if (!read.ok()) return read.status();
      if (read->sizes() != parameter.value().sizes()) {
        return tensors.Error(
            absl::StrCat("tensor ", name, " is not of the shape of its parameter"));
      }
      *moment = *read;
    }
  }
  return moments;
}

absl::StatusOr<EpochProgress> ReadEpoch(const Tensors& tensors, const PartialEpoch& partial,
                                        const PreparedData& data, size_t num_losses) {
  const absl::StatusOr<std::vector<int64_t>> conversations =
      tensors.Indices(kConversations, static_cast<int64_t>(data.conversations.size()));
  if (!conversations.ok()) return conversations.status();
  const int64_t classes = data.info.num_classes();
  const absl::StatusOr<std::vector<int64_t>> labels = tensors.Indices(kLabels, classes);
  if (!labels.ok()) return labels.status();
  const absl::StatusOr<std::vector<int64_t>> predictions = tensors.Indices(kPredictions, classes);
  if (!predictions.ok()) return predictions.status();
  if (conversations->empty() || labels->size() != predictions->size() || partial.steps() < 0 ||
      partial.skipped_steps() < 0 || partial.skipped_steps() > partial.steps() ||
      partial.losses_size() != static_cast<int>(num_losses)) {
    return tensors.Error("what it says of the interrupted epoch contradicts itself");
  }
  return EpochProgress{*conversations,
                       partial.steps(),
                       partial.skipped_steps(),
                       partial.total_loss(),
                       {partial.losses().begin(), partial.losses().end()},
                       *labels,
                       *predictions};
}

}  // namespace

uint64_t DataDigest(const PreparedData& data) {
  Digest digest;
  for (const std::vector<int64_t>* split : {&data.train, &data.valid, &data.test}) {
    digest.Add(*split);
  }
  for (const Conversation& conversation : data.conversations) {
    digest.Add(conversation.id);
    digest.Add(conversation.labels);
    digest.Add(conversation.speakers);
    const void* previous = nullptr;  // streams are often one tensor
    for (const std::vector<Tensor>& streams : conversation.features) {
      for (const Tensor& stream : streams) {
        if (stream.data_ptr() != previous) digest.Add(stream);
        previous = stream.data_ptr();
      }
    }
  }
  return digest.value();
}

absl::Status SaveTrainingState(const std::string& path, const TrainingState& state,
                               const CheckpointMetadata& metadata) {
  StateDict tensors;
  AddState(kModel, state.live, &tensors);
  const std::vector<Adam::Moments> moments = state.optimizer.GetMoments();
  std::vector<int64_t> steps;
  for (const auto& parameter : state.live.named_parameters()) {
    const Adam::Moments& one = moments[steps.size()];
    steps.push_back(one.steps);
    if (one.steps == 0) continue;
    tensors.emplace(MomentName(parameter.key(), "first"), one.first);
    tensors.emplace(MomentName(parameter.key(), "second"), one.second);
  }
  tensors.emplace(kSteps, Numbers(steps));
  tensors.emplace(kRandomState, GeneratorOf(torch::kCPU).get_state());
  const torch::Device device = DeviceOf(state.live);
  if (device.is_cuda()) tensors.emplace(kDeviceRandomState, GeneratorOf(device).get_state());
  CheckpointMetadata described = metadata;
  *described.mutable_progress() = state.progress;
  described.mutable_progress()->clear_partial_epoch();
  if (!state.epoch.conversations.empty()) {
    if (state.snapshot != nullptr) AddState(kSnapshot, *state.snapshot, &tensors);
    tensors.emplace(kConversations, Numbers(state.epoch.conversations));
    tensors.emplace(kLabels, Numbers(state.epoch.labels));
    tensors.emplace(kPredictions, Numbers(state.epoch.predictions));
    PartialEpoch& partial = *described.mutable_progress()->mutable_partial_epoch();
    partial.set_steps(state.epoch.steps);
    partial.set_skipped_steps(state.epoch.skipped);
    partial.set_total_loss(state.epoch.total);
    partial.mutable_losses()->Assign(state.epoch.losses.begin(), state.epoch.losses.end());
  }
  return WriteCheckpoint(path, tensors, described);
}

absl::Status RestoreTrainingState(const std::string& path, const PreparedData& data,
                                  size_t num_losses, TrainingState* state,
                                  CheckpointMetadata* metadata) {
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(path);
  if (!checkpoint.ok()) return checkpoint.status();
  const Tensors tensors(path, checkpoint->state);
  if (!checkpoint->metadata.has_value() || !checkpoint->metadata->has_progress()) {
    return tensors.Error("is a checkpoint, but does not say how far training was");
  }
  const TrainingProgress& progress = checkpoint->metadata->progress();
  if (progress.epochs() < 0 || progress.has_best() != (progress.epochs() > 0) ||
      progress.selected_epoch() < 0 ||
      (progress.has_best() && progress.selected_epoch() >= progress.epochs())) {
    return tensors.Error("what it says of the epochs contradicts itself");
  }
  if (progress.data_digest() != state->progress.data_digest()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": the run was begun with other data than its config names now; put them back "
                     "as they were, or begin again: --overwrite"));
  }
  const absl::StatusOr<std::vector<Adam::Moments>> moments = ReadMoments(tensors, state->live);
  if (!moments.ok()) return moments.status();
  const absl::StatusOr<Tensor> random_state = tensors.Get(kRandomState, torch::kUInt8);
  if (!random_state.ok()) return random_state.status();
  const torch::Device device = DeviceOf(state->live);
  absl::StatusOr<Tensor> device_random_state = Tensor();
  if (device.is_cuda()) {
    device_random_state = tensors.Get(kDeviceRandomState, torch::kUInt8);
    if (!device_random_state.ok()) return device_random_state.status();
  }
  EpochProgress epoch;
  if (progress.has_partial_epoch()) {
    absl::StatusOr<EpochProgress> read =
        ReadEpoch(tensors, progress.partial_epoch(), data, num_losses);
    if (!read.ok()) return read.status();
    epoch = *std::move(read);
    if (state->snapshot != nullptr) {
      absl::Status loaded =
          LoadState(Without(kSnapshot, checkpoint->state), *state->snapshot, path);
      if (!loaded.ok()) return loaded;
    }
  }
  absl::Status loaded = LoadState(Without(kModel, checkpoint->state), state->live, path);
  if (!loaded.ok()) return loaded;
  const absl::StatusOr<bool> restored = CatchTorch([&] {
    GeneratorOf(torch::kCPU).set_state(*random_state);
    if (device.is_cuda()) GeneratorOf(device).set_state(*device_random_state);
    state->optimizer.SetMoments(*moments);
    return true;
  });
  if (!restored.ok()) return tensors.Error(std::string(restored.status().message()));
  state->progress = progress;
  state->progress.clear_partial_epoch();
  state->epoch = std::move(epoch);
  *metadata = *checkpoint->metadata;
  return absl::OkStatus();
}

}  // namespace cmerc
