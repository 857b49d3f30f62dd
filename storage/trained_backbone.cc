#include "storage/trained_backbone.h"

#include <c10/core/CPUAllocator.h>
#include <torch/version.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/official_model.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "registry/registry.h"
#include "storage/matching_options.h"
#include "storage/module_state.h"

namespace cmerc {
namespace {

constexpr int64_t kMostPerByte = 16, kMostBeyond = int64_t{16} << 20;
// The fewest bytes that a tensor counts as: a layer is more than its numbers.
constexpr int64_t kLeastTensor = 1024;
// Limits of the search for other options: how many models, how many bytes in all of them, beyond
// what a model needs, and the widest layer.
constexpr int64_t kFewestModels = 20, kMostModels = 300, kMostSearched = int64_t{2} << 30;
constexpr int64_t kSearchBeyond = int64_t{1} << 20, kWidest = 1 << 16;

// How many bytes the tensors of the model that this thread makes may still take; null in a thread
// that makes none.
thread_local int64_t* bytes_left = nullptr;

// LibTorch's own allocator, but for a thread with a limit.
class LimitedAllocator : public c10::Allocator {
 public:
  explicit LimitedAllocator(c10::Allocator* inner) : inner_(inner) {}

#if TORCH_VERSION_MAJOR < 2
  c10::DataPtr allocate(size_t size) const override { return Allocate(size); }
#else
  c10::DataPtr allocate(size_t size) override { return Allocate(size); }
  void copy_data(void* to, const void* from, size_t size) const override {
    default_copy_data(to, from, size);
  }
#endif
  c10::DeleterFnPtr raw_deleter() const override { return inner_->raw_deleter(); }

 private:
  c10::DataPtr Allocate(size_t size) const {
    if (bytes_left != nullptr) {
      constexpr auto kMost = static_cast<size_t>(std::numeric_limits<int64_t>::max() / 2);
      *bytes_left -= std::max(static_cast<int64_t>(std::min(size, kMost)), kLeastTensor);
      TORCH_CHECK(*bytes_left >= 0, "the tensors of the model pass their limit");
    }
    return inner_->allocate(size);
  }

  c10::Allocator* inner_;
};

// Installs the allocator when the program starts, while no other thread makes tensors. It costs a
// comparison for each tensor.
const bool kInstalled = [] {
  c10::SetCPUAllocator(new LimitedAllocator(c10::GetCPUAllocator()));
  return true;
}();

// While it lives, this thread's tensors may take so many bytes in all; the one that passes them
// throws.
class TensorLimit {
 public:
  explicit TensorLimit(int64_t bytes) : left_(bytes) {
    TORCH_CHECK(kInstalled);
    bytes_left = &left_;
  }
  TensorLimit(const TensorLimit&) = delete;
  TensorLimit& operator=(const TensorLimit&) = delete;
  ~TensorLimit() { bytes_left = nullptr; }

  bool passed() const { return left_ < 0; }

 private:
  int64_t left_;
};

// MakeBackbone() of a model whose tensors may take so many bytes in all, an error where they would
// take more; sets `too_large` then.
absl::StatusOr<std::shared_ptr<Backbone>> MakeWithin(int64_t bytes, const RunConfig& config,
                                                     const DatasetInfo& info, bool* too_large) {
  const TensorLimit limit(bytes);
  absl::StatusOr<std::shared_ptr<Backbone>> backbone = MakeBackbone(config, info);
  *too_large = limit.passed();
  if (*too_large) return absl::InvalidArgumentError("the model is too large");
  return backbone;
}

// How many bytes the tensors of `state` count as.
int64_t WeightBytes(const StateDict& state) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : state) {
    bytes += std::max(static_cast<int64_t>(tensor.nbytes()), kLeastTensor);
  }
  return bytes;
}

// The extents of the tensors in `state` that are not those of the model, the most frequent first.
std::vector<int64_t> OtherExtents(const StateDict& state, const StateDict& targets) {
  std::map<int64_t, int> counts;
  for (const auto& [name, tensor] : state) {
    const auto it = targets.find(name);
    if (it != targets.end() && it->second.sizes() == tensor.sizes()) continue;
    for (const int64_t extent : tensor.sizes()) ++counts[extent];
  }
  std::vector<int64_t> extents;
  for (const auto& [extent, count] : counts) {
    if (extent <= kWidest) extents.push_back(extent);
  }
  std::stable_sort(extents.begin(), extents.end(),
                   [&counts](int64_t a, int64_t b) { return counts[a] > counts[b]; });
  return extents;
}

// Says with which options of the same plugin a model would have the weights in `state`, which those
// of `model` are not; empty where it finds none.
std::string MatchingOptions(const RunConfig& config, const DatasetInfo& info, const Backbone& model,
                            const StateDict& state) {
  const auto options = Backbones().Unpack(config.backbone());
  if (!options.ok()) return "";
  const StateDict tensors = TensorsOf(model);
  const int64_t bytes = std::max(WeightBytes(state), WeightBytes(tensors));
  const auto most_models = static_cast<int>(
      std::clamp<int64_t>(kMostSearched / (bytes + 1), kFewestModels, kMostModels));
  RunConfig candidate = config;
  const std::string changes = FindMatchingOptions(
      **options, OtherExtents(state, tensors), most_models,
      [&](const google::protobuf::Message& tried) -> std::optional<size_t> {
        candidate.mutable_backbone()->PackFrom(tried);
        bool too_large = false;
        // Twice, since some are made from others.
        const auto made = MakeWithin(2 * bytes + kSearchBeyond, candidate, info, &too_large);
        if (!made.ok()) return std::nullopt;
        return CompareState(state, **made).size();
      });
  if (changes.empty()) return "";
  return absl::StrCat("; with --set='backbone { [type.googleapis.com/",
                      PluginType(config.backbone()), "] { ", changes,
                      " } }' all names and shapes agree");
}

// InvalidArgument: the official code has no model like this one. Sets `doubt`, where given, to what
// else speaks against the options.
absl::Status CheckOfficial(const Backbone& model, const StateDict& state, std::string* doubt) {
  const auto* const official = dynamic_cast<const OfficialModel*>(&model);
  if (official == nullptr) return absl::OkStatus();
  const std::string departure = official->Departure();
  if (!departure.empty()) return absl::InvalidArgumentError(departure);
  if (doubt != nullptr) *doubt = official->Doubt(state);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<Backbone>> MakeBackbone(const RunConfig& config,
                                                       const DatasetInfo& info) {
  torch::manual_seed(config.training().seed());
  ASSIGN_OR_RETURN(std::shared_ptr<Backbone> backbone,
                   Annotate(Backbones().Create(config.backbone(), info), "backbone"));
  if (config.calibration().evidence_flags()) {
    RETURN_IF_ERROR(
        Annotate(CatchTorch([&] { backbone->ShowEvidence(); }), "calibration.evidence_flags"));
  }
  return backbone;
}

absl::StatusOr<std::shared_ptr<Backbone>> MakeTrainedBackbone(const RunConfig& config,
                                                              const DatasetInfo& info,
                                                              const Checkpoint& checkpoint,
                                                              const std::string& source,
                                                              std::string* doubt) {
  const StateDict& state = checkpoint.state;
  bool too_large = false;
  absl::StatusOr<std::shared_ptr<Backbone>> backbone =
      MakeWithin(kMostPerByte * WeightBytes(state) + kMostBeyond, config, info, &too_large);
  if (too_large) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": these are not the weights of this model: they take ", WeightBytes(state),
        " bytes, and it would take more than ", kMostPerByte,
        " times as much. Give the config the model was trained with (backbone options, "
        "modalities, dataset)"));
  }
  if (!backbone.ok()) return backbone;
  const absl::Status loaded = LoadState(state, **backbone, source);
  if (absl::IsInvalidArgument(loaded)) {
    return absl::InvalidArgumentError(
        absl::StrCat(loaded.message(), MatchingOptions(config, info, **backbone, state)));
  }
  RETURN_IF_ERROR(loaded);
  if (!checkpoint.metadata.has_value()) {
    RETURN_IF_ERROR(Annotate(CheckOfficial(**backbone, state, doubt), source));
  }
  return backbone;
}

bool HasWeightsOf(const RunConfig& config, const DatasetInfo& info, const StateDict& state) {
  bool too_large = false;
  const absl::StatusOr<std::shared_ptr<Backbone>> backbone =
      MakeWithin(kMostPerByte * WeightBytes(state) + kMostBeyond, config, info, &too_large);
  return backbone.ok() && CompareState(state, **backbone).size() == 0;
}

}  // namespace cmerc
