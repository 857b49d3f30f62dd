#include "profile/profiler.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <utility>

namespace cmerc {
namespace {

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Operators that move no data.
bool IsView(const std::string& name) {
  static const auto* const views = new std::set<std::string>{
      "aten::alias",          "aten::as_strided", "aten::chunk",
      "aten::detach",         "aten::detach_",    "aten::diagonal",
      "aten::empty",          "aten::empty_like", "aten::expand",
      "aten::flatten",        "aten::narrow",     "aten::permute",
      "aten::reshape",        "aten::select",     "aten::slice",
      "aten::split",          "aten::squeeze",    "aten::t",
      "aten::transpose",      "aten::unbind",     "aten::unsqueeze",
      "aten::view",           "aten::resize_",    "aten::set_",
      "aten::_reshape_alias", "aten::item",       "aten::resolve_conj",
      "aten::resolve_neg",    "aten::numpy_T",    "aten::_local_scalar_dense",
      "aten::empty_strided"};
  return views->count(name) > 0;
}

void CollectTensors(const c10::IValue& value, std::vector<at::Tensor>* tensors) {
  if (value.isTensor()) {
    tensors->push_back(value.toTensor());
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) tensors->push_back(tensor);
  }
}

// Multiply-adds of matrix products, each two; the other operators are bound by memory.
double Flops(const std::string& name, const std::vector<at::Tensor>& inputs) {
  size_t first = 0;
  if (name == "aten::addmm" || name == "aten::baddbmm" || name == "aten::addmm_") {
    first = 1;
  } else if (name != "aten::mm" && name != "aten::bmm") {
    return 0;
  }
  if (inputs.size() < first + 2 || inputs[first].dim() < 2) return 0;
  return 2.0 * static_cast<double>(inputs[first].numel()) *
         static_cast<double>(inputs[first + 1].size(-1));
}

double BytesOf(const std::vector<at::Tensor>& tensors) {
  double bytes = 0;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.defined()) bytes += static_cast<double>(tensor.nbytes());
  }
  return bytes;
}

Profiler* RunningProfiler() { return dynamic_cast<Profiler*>(profile_listener); }

// What the inputs of an operator tell of its work. It is noted before the operator runs, since the
// inputs may be gone when it ends.
struct Observed : at::ObserverContext {
  double flops = 0;
  double input_bytes = 0;
};

std::unique_ptr<at::ObserverContext> OnStart(const at::RecordFunction& function) {
  Profiler* profiler = RunningProfiler();
  if (profiler == nullptr) return nullptr;
  const std::string name = function.name();
  std::vector<at::Tensor> inputs;
  for (const c10::IValue& input : function.inputs()) CollectTensors(input, &inputs);
  auto observed = std::make_unique<Observed>();
  observed->flops = Flops(name, inputs);
  observed->input_bytes = BytesOf(inputs);
  profiler->BeginOperator(name);
  return observed;
}

void OnEnd(const at::RecordFunction& function, at::ObserverContext* context) {
  Profiler* profiler = RunningProfiler();
  if (profiler == nullptr || context == nullptr) return;
  const auto& observed = *static_cast<const Observed*>(context);
  std::vector<at::Tensor> outputs;
  for (const c10::IValue& output : function.outputs()) CollectTensors(output, &outputs);
  profiler->EndOperator(observed.flops,
                        IsView(function.name()) ? 0 : observed.input_bytes + BytesOf(outputs));
}

double SecondsOf(const std::function<void()>& work) {
  work();
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const int64_t begin = Now();
    work();
    best = std::min(best, static_cast<double>(Now() - begin) * 1e-9);
  }
  return best;
}

}  // namespace

MachinePeak MeasurePeak() {
  const at::NoGradGuard no_grad;
  constexpr int64_t kSize = 1024;
  constexpr int64_t kNumbers = int64_t{1} << 24;  // 64 MiB
  const at::Tensor a = at::ones({kSize, kSize}), b = at::ones({kSize, kSize});
  at::Tensor product = at::empty({kSize, kSize});
  const at::Tensor from = at::ones({kNumbers});
  at::Tensor to = at::empty({kNumbers});
  MachinePeak peak;
  peak.flops_per_second =
      2.0 * kSize * kSize * kSize / SecondsOf([&] { at::mm_out(product, a, b); });
  peak.bytes_per_second = 2.0 * kNumbers * sizeof(float) / SecondsOf([&] { to.copy_(from); });
  return peak;
}

Profiler::Profiler() : origin_(Now()) {}

Profiler::~Profiler() { Stop(); }

void Profiler::Start() {
  if (running_) return;
  running_ = true;
  profile_listener = this;
  callback_ = at::addThreadLocalCallback(
      at::RecordFunctionCallback(OnStart, OnEnd)
          .needsInputs(true)
          .needsOutputs(true)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
}

void Profiler::Stop() {
  if (!running_) return;
  running_ = false;
  at::removeCallback(callback_);
  profile_listener = nullptr;
  while (!stack_.empty()) Pop();
}

void Profiler::Push(std::string name, bool is_scope) {
  ProfileEvent event;
  event.name = std::move(name);
  event.parent = stack_.empty() ? -1 : stack_.back();
  event.is_scope = is_scope;
  stack_.push_back(static_cast<int>(events_.size()));
  events_.push_back(std::move(event));
  events_.back().begin = Now() - origin_;
}

void Profiler::Pop() {
  events_[stack_.back()].end = Now() - origin_;
  stack_.pop_back();
}

void Profiler::Begin(const char* name) { Push(name, /*is_scope=*/true); }

void Profiler::End() {
  if (!stack_.empty()) Pop();
}

void Profiler::Work(double flops, double bytes) {
  if (stack_.empty()) return;
  events_[stack_.back()].flops += flops;
  events_[stack_.back()].bytes += bytes;
}

void Profiler::BeginOperator(std::string name) { Push(std::move(name), /*is_scope=*/false); }

void Profiler::EndOperator(double flops, double bytes) {
  if (stack_.empty()) return;
  const int index = stack_.back();
  Pop();
  events_[index].flops += flops;
  // The work of an operator that consists of others is counted in those, but for matrix products:
  // the operators that they consist of only prepare them.
  bool parts_move_data = false;
  for (size_t i = index + 1; i < events_.size(); ++i) {
    parts_move_data = parts_move_data || events_[i].bytes > 0;
  }
  if (flops > 0 || !parts_move_data) events_[index].bytes += bytes;
}

}  // namespace cmerc
