#include "storage/trained_backbone.h"

#include <c10/core/CPUAllocator.h>
#include <torch/version.h>

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "storage/module_state.h"

namespace cmerc {
namespace {

constexpr int64_t kMostPerByte = 16, kMostBeyond = int64_t{16} << 20;
// The fewest bytes that a tensor counts as: a layer is more than its numbers.
constexpr int64_t kLeastTensor = 1024;

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

// How many bytes the tensors of `state` count as.
int64_t WeightBytes(const StateDict& state) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : state) {
    bytes += std::max(static_cast<int64_t>(tensor.nbytes()), kLeastTensor);
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::shared_ptr<Backbone>> MakeBackbone(const RunConfig& config,
                                                       const DatasetInfo& info) {
  torch::manual_seed(config.training().seed());
  ASSIGN_OR_RETURN(std::shared_ptr<Backbone> backbone,
                   Annotate(Backbones().Create(config.backbone(), info), "backbone"));
  return backbone;
}

absl::StatusOr<std::shared_ptr<Backbone>> MakeTrainedBackbone(const RunConfig& config,
                                                              const DatasetInfo& info,
                                                              const StateDict& state,
                                                              const std::string& source) {
  const int64_t weights = WeightBytes(state);
  absl::StatusOr<std::shared_ptr<Backbone>> backbone;
  {
    const TensorLimit limit(kMostPerByte * weights + kMostBeyond);
    backbone = MakeBackbone(config, info);
    if (limit.passed()) {
      return absl::InvalidArgumentError(absl::StrCat(
          source, ": these are not the weights of this model: they take ", weights,
          " bytes, and it would take more than ", kMostPerByte,
          " times as much. Give the config the model was trained with (backbone options, "
          "modalities, dataset)"));
    }
  }
  if (!backbone.ok()) return backbone;
  RETURN_IF_ERROR(LoadState(state, **backbone, source));
  return backbone;
}

}  // namespace cmerc
