// PyTorch's tensors as pickle.dump writes them: a call that is given a storage, which is a call
// that is given the bytes of torch.save in its format before the zip archives.
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/pickle/machine.h"
#include "storage/pickle/value_data.h"

namespace cmerc::pickle {
namespace {

struct StorageType {
  const char* name;
  DType dtype;
};
constexpr StorageType kStorageTypes[] = {
    {"FloatStorage", {'f', false, 4}},        {"DoubleStorage", {'f', false, 8}},
    {"HalfStorage", {'f', false, 2}},         {"BFloat16Storage", {'E', false, 2}},
    {"LongStorage", {'i', false, 8}},         {"IntStorage", {'i', false, 4}},
    {"ShortStorage", {'i', false, 2}},        {"CharStorage", {'i', false, 1}},
    {"ByteStorage", {'u', false, 1}},         {"BoolStorage", {'b', false, 1}},
    {"ComplexFloatStorage", {'c', false, 8}}, {"ComplexDoubleStorage", {'c', false, 16}},
};

// 0x1950a86a20f9469cfc6c, as a pickle holds it.
constexpr absl::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t kFormat = 1001;

const Options& StorageOptions() {
  static const auto* const options = [] {
    auto* made = new Options;
    made->allow_persistent_ids = true;
    made->refuse_unknown = true;
    for (const StorageType& type : kStorageTypes) {
      made->allowed_globals.insert(absl::StrCat("torch.", type.name));
      made->allowed_globals.insert(absl::StrCat("torch.cuda.", type.name));
    }
    return made;
  }();
  return *options;
}

}  // namespace

// torch.storage._load_from_bytes(bytes). The bytes: five pickles (a magic number, the format, the
// machine, the storage by its type and key and length, a list of the key), the length and the data.
Value* Machine::MakeTorchStorage(absl::Span<const Value* const> args) {
  if (args.size() != 1 || args[0]->kind_ != Kind::kBytes) return nullptr;
  absl::string_view rest = args[0]->bytes();
  if (!Spend(rest.size())) return nullptr;
  Arena arena;  // of what is not needed any longer afterwards
  std::vector<const Value*> parts;
  while (parts.size() < 5) {
    Machine machine(rest, name_, StorageOptions(), rest.size(), &arena);
    const absl::StatusOr<const Value*> root = machine.Run();
    if (!Spend(machine.steps_) || !root.ok()) return nullptr;
    parts.push_back(*root);
    rest.remove_prefix(machine.position());
  }
  const Value* little_endian = parts[2]->Find("little_endian");
  if (parts[0]->kind_ != Kind::kBigInt || parts[0]->bytes() != kMagic ||
      parts[1]->int_value() != kFormat || little_endian == nullptr ||
      !little_endian->bool_value() || parts[3]->kind_ != Kind::kPersistentId) {
    return nullptr;
  }
  // ("storage", type, key, device, length, what it is a part of)
  const absl::Span<const Value* const> id = parts[3]->persistent_id()->items();
  if (id.size() < 5 || (id.size() > 5 && !id[5]->is_none())) return nullptr;
  const absl::string_view type_name = id[1]->global_name();
  for (const StorageType& type : kStorageTypes) {
    if (type_name.substr(type_name.rfind('.') + 1) != type.name) continue;
    int64_t count = 0;
    if (rest.size() < sizeof(count)) return nullptr;
    std::memcpy(&count, rest.data(), sizeof(count));
    rest.remove_prefix(sizeof(count));
    const auto most = static_cast<int64_t>(rest.size()) / type.dtype.item_size;
    if (count < 0 || count > most || count != id[4]->int_value()) return nullptr;
    Value::Array storage = {};
    storage.dtype = type.dtype;
    auto* length = arena_->New<int64_t>(1);
    *length = count;
    storage.shape = length;
    storage.num_axes = 1;
    storage.num_elements = count;
    storage.data = rest.data();
    storage.data_size = static_cast<uint64_t>(count * type.dtype.item_size);
    storage.class_name = "torch.storage.TypedStorage";
    Widen(&storage);
    return NewArray(storage);
  }
  return nullptr;
}

// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata)
Value* Machine::MakeTorchTensor(absl::Span<const Value* const> args) {
  if (args.size() < 4 || args[0]->kind_ != Kind::kArray || args[0]->data_.array == nullptr ||
      args[0]->shape().size() != 1 || args[0]->dtype().kind == 'O' ||
      args[1]->kind_ != Kind::kInt) {
    return nullptr;
  }
  // Metadata say that the numbers are to be negated or conjugated.
  const bool metadata = args.size() > 6 && !args[6]->is_none() &&
                        !(args[6]->kind_ == Kind::kDict && args[6]->keys().empty());
  if (metadata) return nullptr;
  std::vector<int64_t> lengths[2];  // sizes, strides
  for (int i = 0; i < 2; ++i) {
    if (args[2 + i]->kind_ != Kind::kTuple || args[2 + i]->items().size() > kMostAxes) {
      return nullptr;
    }
    for (const Value* item : args[2 + i]->items()) {
      if (item->kind_ != Kind::kInt) return nullptr;
      lengths[i].push_back(item->int_value());
    }
  }
  return MakeStrided(*args[0]->data_.array, args[1]->int_value(), lengths[0], lengths[1],
                     "torch.Tensor");
}

}  // namespace cmerc::pickle
