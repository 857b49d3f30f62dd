#include "tests/host_device/host_device.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>
#include <torch/version.h>

#if TORCH_VERSION_MAJOR >= 2
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/MTIAHooksInterface.h>
#endif

#include <algorithm>
#include <iterator>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

namespace cmerc {
namespace {

using c10::IValue;
using c10::Storage;
using torch::Tensor;

#if TORCH_VERSION_MAJOR >= 2
constexpr c10::DispatchKey kKey = c10::DispatchKey::MTIA;
const torch::Device kHostDevice(torch::kMTIA, 0);

// A tensor of the device. Its keys are named one by one: left to itself, LibTorch 2.6 records its
// gradients under the key of all devices that have none of their own (AutogradOther), where
// operators that others of these implement, such as expand_as, are refused as ambiguous.
Tensor TensorOfDevice(Storage storage, caffe2::TypeMeta type) {
  const c10::DispatchKeySet keys{kKey, c10::DispatchKey::ADInplaceOrView,
                                 c10::DispatchKey::AutogradMTIA};
  return at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, std::move(storage), keys,
                                                  type);
}

// A backward pass asks the one "accelerator" of the process for a stream. This kind is looked for
// before all that LibTorch is built for, so it may be there beside CUDA.
class Hooks final : public at::MTIAHooksInterface {
 public:
  bool hasMTIA() const override { return true; }
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 7  // which asks for these too
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
#endif
  c10::DeviceIndex deviceCount() const override { return 1; }
  // Which torch::manual_seed() wants to seed.
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetCPUAllocator(); }
};

[[maybe_unused]] const bool hooks_registered = [] {
  at::MTIAHooksRegistry()->Register("MTIAHooks", [](const at::MTIAHooksArgs&) {
    return std::unique_ptr<at::MTIAHooksInterface>(new Hooks);
  });
  return true;
}();
#else
constexpr c10::DispatchKey kKey = c10::DispatchKey::HIP;
const torch::Device kHostDevice(torch::kHIP, 0);

Tensor TensorOfDevice(Storage storage, caffe2::TypeMeta type) {
  return at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(kKey),
                                                  type);
}

// LibTorch pins memory for CUDA alone: without it, not at all.
Tensor PinMemory(const Tensor& tensor, c10::optional<torch::Device>) { return tensor.clone(); }
#endif

// LibTorch asks it which device is meant without an index, and how many threads for the backward
// pass to start. Work is done when the call that began it returns, so the stream needs no more.
class Guard final : public c10::impl::DeviceGuardImplInterface {
 public:
  c10::DeviceType type() const override { return kHostDevice.type(); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Device getDevice() const override { return kHostDevice; }
  c10::Device exchangeDevice(c10::Device) const override { return kHostDevice; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, kHostDevice);
  }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return stream; }
};

[[maybe_unused]] const c10::impl::DeviceGuardImplRegistrar guard(kHostDevice.type(), new Guard);

// A storage of the device owns one of the CPU with the same memory, its twin.
void DeleteTwin(void* twin) { delete static_cast<Storage*>(twin); }

c10::DataPtr MemoryOf(const Storage& twin) {
  return {twin.data_ptr().get(), new Storage(twin), &DeleteTwin, kHostDevice};
}

const Storage& TwinOf(const Storage& storage) {
  const c10::DataPtr& memory = storage.data_ptr();
  TORCH_CHECK(memory.get_deleter() == &DeleteTwin, "memory of ", kHostDevice,
              " that no operator has allocated");
  return *static_cast<const Storage*>(memory.get_context());
}

bool IsThere(const Tensor& tensor) { return tensor.defined() && tensor.device() == kHostDevice; }

bool SameShape(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes() && a.strides() == b.strides() &&
         a.storage_offset() == b.storage_offset();
}

void SetShape(const Tensor& like, const Tensor& tensor) {
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides());
  tensor.unsafeGetTensorImpl()->set_storage_offset(like.storage_offset());
}

Tensor TensorOfCpu(Storage storage, caffe2::TypeMeta type) {
  return at::detail::make_tensor<c10::TensorImpl>(std::move(storage),
                                                  c10::DispatchKeySet(c10::DispatchKey::CPU), type);
}

// Returns `tensor` in the shape of `like`.
Tensor Like(const Tensor& like, Tensor tensor) {
  SetShape(like, tensor);
  // It does not count when the result's type is chosen.
  if (like.unsafeGetTensorImpl()->is_wrapped_number()) {
    tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  }
  return tensor;
}

// The tensors of one call of an operator: those of the device, and what the CPU's kernel gets in
// their place. Which tensor, and which storage, is which is kept both ways, so that a result that
// is an argument, or a view of one, is so on the device too.
class Call {
 public:
  Storage ToCpu(const Storage& there) {
    storages_.emplace_back(there, TwinOf(there));
    return storages_.back().second;
  }

  // A tensor of the CPU is what it was.
  Tensor ToCpu(const Tensor& tensor) {
    for (const auto& [there, cpu] : tensors_) {
      if (there.is_same(tensor)) return cpu;
    }
    tensors_.emplace_back(
        tensor, IsThere(tensor) ? Like(tensor, TensorOfCpu(ToCpu(tensor.storage()), tensor.dtype()))
                                : tensor);
    return tensors_.back().second;
  }

  Tensor ToDevice(const Tensor& tensor) {
    for (const auto& [there, cpu] : tensors_) {
      if (cpu.is_same(tensor)) return there;
    }
    if (!tensor.defined()) return tensor;
    return Like(tensor, TensorOfDevice(ToDevice(tensor.storage()), tensor.dtype()));
  }

  // Gives the arguments the storage and the shape that the kernel gave their twins.
  void UpdateArguments() {
    for (const auto& [there, twin] : storages_) {
      if (there.data_ptr().get() == twin.data_ptr().get() && there.nbytes() == twin.nbytes()) {
        continue;
      }
      there.unsafeGetStorageImpl()->set_data_ptr(MemoryOf(twin));
      there.unsafeGetStorageImpl()->set_nbytes(twin.nbytes());
    }
    for (const auto& [there, cpu] : tensors_) {
      if (!IsThere(there)) continue;
      if (!TwinOf(there.storage()).is_alias_of(cpu.storage())) {
        there.unsafeGetTensorImpl()->set_storage_keep_dtype(ToDevice(cpu.storage()));
      }
      if (!SameShape(there, cpu)) SetShape(cpu, there);
    }
  }

 private:
  Storage ToDevice(const Storage& storage) {
    for (const auto& [there, twin] : storages_) {
      if (twin.is_alias_of(storage)) return there;
    }
    storages_.emplace_back(Storage(Storage::use_byte_size_t(), storage.nbytes(), MemoryOf(storage)),
                           storage);
    return storages_.back().first;
  }

  std::vector<std::pair<Tensor, Tensor>> tensors_;     // There, on the CPU.
  std::vector<std::pair<Storage, Storage>> storages_;  // There, its twin.
};

std::mutex waits_mutex;
std::vector<std::string>& MutableWaits() {
  static auto* const waits = new std::vector<std::string>;
  return *waits;
}

int64_t& MutableCopies() {
  static int64_t copies = 0;
  return copies;
}

bool IsCopy(const c10::FunctionSchema& schema) { return schema.name() == "aten::copy_"; }

constexpr std::string_view kAlwaysWaiting[] = {"aten::_local_scalar_dense",
                                               "aten::_unique",
                                               "aten::_unique2",
                                               "aten::bincount",
                                               "aten::equal",
                                               "aten::masked_select",
                                               "aten::nonzero",
                                               "aten::unique_dim",
                                               "aten::unique_consecutive",
                                               "aten::unique_dim_consecutive"};

bool IsMask(const c10::optional<Tensor>& index) {
  return index.has_value() && index->defined() &&
         (index->scalar_type() == torch::kBool || index->scalar_type() == torch::kByte);
}

// Whether the host has to know what is on the device before it can go on.
bool HasToWait(const c10::FunctionSchema& schema, const IValue* arguments) {
  const std::string& name = schema.name();
  // copy_(self, source, non_blocking)
  if (IsCopy(schema)) {
    return arguments[0].toTensor().device() != arguments[1].toTensor().device() &&
           !arguments[2].toBool();
  }
  // masked_fill(self, mask, value): one of the device is fetched.
  if (name == "aten::masked_fill" || name == "aten::masked_fill_") {
    return arguments[2].isTensor() && IsThere(arguments[2].toTensor());
  }
  // repeat_interleave(repeats, output_size)
  if (name == "aten::repeat_interleave") return arguments[1].isNone();
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    if (!arguments[i].isOptionalTensorList()) continue;
    const auto indices = arguments[i].toOptionalTensorVector();
    if (std::any_of(indices.begin(), indices.end(), IsMask)) return true;
  }
  return std::count(std::begin(kAlwaysWaiting), std::end(kAlwaysWaiting), name) != 0;
}

// Throws where a GPU would. `number`: whether a CPU tensor without dimensions will do.
void CheckDevice(const c10::FunctionSchema& schema, const c10::Argument& argument, bool number,
                 const Tensor& tensor) {
  if (!tensor.defined() || tensor.device() == kHostDevice) return;
  TORCH_CHECK((number && tensor.dim() == 0) || IsCopy(schema), schema.name(),
              ": Expected all tensors to be on the same device, but ", argument.name(), " is on ",
              tensor.device(), " and not on ", kHostDevice);
}

void ArgumentToCpu(const c10::FunctionSchema& schema, const c10::Argument& argument, Call* call,
                   IValue* value) {
  if (value->isTensor()) {
    const bool written = argument.alias_info() != nullptr && argument.alias_info()->isWrite();
    CheckDevice(schema, argument, /*number=*/!written, value->toTensor());
    *value = call->ToCpu(value->toTensor());
  } else if (value->isTensorList()) {
    std::vector<Tensor> tensors = value->toTensorVector();
    for (Tensor& tensor : tensors) {
      CheckDevice(schema, argument, /*number=*/false, tensor);
      tensor = call->ToCpu(tensor);
    }
    *value = tensors;
  } else if (value->isOptionalTensorList()) {
    c10::List<c10::optional<Tensor>> tensors;
    for (const c10::optional<Tensor>& tensor : value->toOptionalTensorVector()) {
      CheckDevice(schema, argument, /*number=*/false, tensor.value_or(Tensor()));
      tensors.push_back(tensor.has_value() ? c10::make_optional(call->ToCpu(*tensor)) : tensor);
    }
    *value = tensors;
  } else if (value->isStorage()) {
    *value = call->ToCpu(value->toStorage());
  } else if (value->isDevice()) {
    *value = torch::Device(torch::kCPU);
  } else {
    TORCH_CHECK(!value->isGenerator(), schema.name(), ": a generator of ",
                value->toGenerator().device(), " cannot draw on ", kHostDevice);
  }
}

void ResultToDevice(Call* call, IValue* value) {
  if (value->isTensor()) {
    *value = call->ToDevice(value->toTensor());
  } else if (value->isTensorList()) {
    std::vector<Tensor> tensors = value->toTensorVector();
    for (Tensor& tensor : tensors) tensor = call->ToDevice(tensor);
    *value = tensors;
  }
}

// Every operator of the device: the CPU's kernel, on the same memory.
void RunOnCpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::FunctionSchema& schema = op.schema();
  const size_t num_arguments = schema.arguments().size();
  IValue* const arguments = stack->data() + (stack->size() - num_arguments);
  const bool waits = HasToWait(schema, arguments);
  const bool copies = IsCopy(schema) && arguments[1].toTensor().is_cpu();
  Call call;
  for (size_t i = 0; i < num_arguments; ++i) {
    ArgumentToCpu(schema, schema.arguments()[i], &call, &arguments[i]);
  }
  if (waits || copies) {
    const std::lock_guard<std::mutex> lock(waits_mutex);
    if (waits) MutableWaits().push_back(schema.name());
    if (copies) ++MutableCopies();
  }
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  call.UpdateArguments();
  for (size_t i = stack->size() - schema.returns().size(); i < stack->size(); ++i) {
    ResultToDevice(&call, &(*stack)[i]);
  }
}

void RegisterOperators() {
  // Never destroyed: the backward pass's thread ends with the process.
  static auto* const operators =
      new torch::Library(torch::Library::IMPL, "aten", kKey, __FILE__, __LINE__);
  const auto add = [](const c10::OperatorName& name) {
    const std::string full_name =
        name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
    operators->impl(full_name.c_str(), torch::CppFunction::makeFromBoxedFunction<&RunOnCpu>());
  };
  for (const c10::OperatorName& name :
       c10::Dispatcher::singleton().getRegistrationsForDispatchKey(c10::DispatchKey::CPU)) {
    if (name.getNamespace() == std::string("aten")) add(name);
  }
  // Its kernel is for all devices, but knows a list of them.
  add(c10::OperatorName("aten::copy_", ""));
#if TORCH_VERSION_MAJOR < 2
  static auto* const pinning =
      new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::CUDA, __FILE__, __LINE__);
  pinning->impl("_pin_memory", &PinMemory);
#endif
}

}  // namespace

torch::Device HostDevice() {
  static const bool registered = (RegisterOperators(), true);
  (void)registered;
  return kHostDevice;
}

int64_t Waits() { return static_cast<int64_t>(WaitingOperators().size()); }

std::vector<std::string> WaitingOperators() {
  const std::lock_guard<std::mutex> lock(waits_mutex);
  return MutableWaits();
}

void ResetWaits() {
  const std::lock_guard<std::mutex> lock(waits_mutex);
  MutableWaits().clear();
  MutableCopies() = 0;
}

int64_t CopiesFromCpu() {
  const std::lock_guard<std::mutex> lock(waits_mutex);
  return MutableCopies();
}

}  // namespace cmerc
