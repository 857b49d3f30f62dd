#include "storage/state_reader.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "storage/storage_types.h"

namespace cmerc {
namespace {

// Bytes of tensors per byte of the file: names may share a storage, and a view may repeat its
// elements, but a small file must not fill the memory.
constexpr double kMostExpansion = 64;
constexpr size_t kMostAxes = 64;  // the limit of most of LibTorch's operators

// A name that the file gives, for messages: escaped, so that it cannot control a terminal.
std::string Shown(absl::string_view name) {
  constexpr size_t kLongest = 200;
  return absl::Utf8SafeCHexEscape(name.substr(0, kLongest));
}

// Reads the tensors that data.pkl describes.
class StateReader {
 public:
  StateReader(const pickle::Document& document, const Archive& archive)
      : document_(document),
        archive_(archive),
        bytes_left_(kMostExpansion * static_cast<double>(archive.size())) {}

  absl::StatusOr<StateDict> Read(const StateChoice& choice) {
    const pickle::Value& dict = *choice.dict;
    StateDict state;
    for (size_t i = 0; i < dict.keys().size(); ++i) {
      ASSIGN_OR_RETURN(absl::string_view name, document_.Text(*dict.keys()[i]));
      name.remove_prefix(choice.prefix.size());
      absl::StatusOr<torch::Tensor> tensor = ReadTensor(*dict.values()[i]);
      if (!tensor.ok()) {
        return absl::Status(tensor.status().code(),
                            absl::StrCat(tensor.status().message(), " (tensor ", Shown(name), ")"));
      }
      if (!state.emplace(name, *std::move(tensor)).second) {
        return document_.Error(*dict.keys()[i],
                               absl::StrCat("tensor ", Shown(name), " is there twice"));
      }
    }
    return state;
  }

 private:
  absl::StatusOr<torch::Tensor> ReadTensor(const pickle::Value& value) {
    if (value.kind() != pickle::Kind::kObject || value.args() == nullptr) {
      return document_.Error(value, absl::StrCat("want a tensor, found ", pickle::Describe(value)));
    }
    const absl::Span<const pickle::Value* const> args = value.args()->items();
    if (value.global_name() == kRebuildParameter && !args.empty() &&
        args[0]->global_name() != value.global_name()) {
      return ReadTensor(*args[0]);
    }
    if (value.global_name() != kRebuildTensor || args.size() < 4) {
      return document_.Error(value,
                             absl::StrCat("want a tensor, found a call of ", value.global_name(),
                                          "; save the state dict of "
                                          "plain tensors, torch.save(model.state_dict(), f)"));
    }
    ASSIGN_OR_RETURN(const torch::Tensor storage, ReadStorage(*args[0]));
    ASSIGN_OR_RETURN(const int64_t offset, document_.Int(*args[1]));
    ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, ReadExtents(*args[2]));
    ASSIGN_OR_RETURN(const std::vector<int64_t> strides, ReadExtents(*args[3]));
    // The last element the tensor would touch and the bytes it would take, without overflow.
    bool inside = offset >= 0 && sizes.size() == strides.size();
    double last = static_cast<double>(offset);
    auto bytes = static_cast<double>(storage.element_size());
    bool empty = false;
    for (size_t d = 0; inside && d < sizes.size(); ++d) {
      inside = sizes[d] >= 0 && strides[d] >= 0;
      empty = empty || sizes[d] == 0;
      last += static_cast<double>(sizes[d] - 1) * static_cast<double>(strides[d]);
      bytes *= static_cast<double>(std::max<int64_t>(sizes[d], 1));
    }
    if (!inside || (!empty && last >= static_cast<double>(storage.numel()))) {
      return document_.Error(value, absl::StrCat("the tensor reaches beyond its storage of ",
                                                 storage.numel(), " elements"));
    }
    bytes_left_ -= bytes;
    if (bytes_left_ < 0) {
      return document_.Error(value, absl::StrCat("the tensors up to this one take more than ",
                                                 kMostExpansion, " times the file"));
    }
    return CatchTorch([&] { return storage.as_strided(sizes, strides, offset).contiguous(); });
  }

  absl::StatusOr<std::vector<int64_t>> ReadExtents(const pickle::Value& value) {
    ASSIGN_OR_RETURN(const auto items, document_.Sequence(value));
    if (items.size() > kMostAxes) {
      return document_.Error(
          value, absl::StrCat("a tensor of ", items.size(), " axes, want at most ", kMostAxes));
    }
    std::vector<int64_t> extents;
    for (const pickle::Value* item : items) {
      ASSIGN_OR_RETURN(const int64_t extent, document_.Int(*item));
      extents.push_back(extent);
    }
    return extents;
  }

  // The tensor [elements] of a storage; tensors that share a storage share it here too.
  absl::StatusOr<torch::Tensor> ReadStorage(const pickle::Value& value) {
    const pickle::Value* id = value.persistent_id();
    if (id == nullptr || id->items().size() < 5 ||
        id->items()[1]->kind() != pickle::Kind::kGlobal) {
      return document_.Error(value, "want a storage");
    }
    ASSIGN_OR_RETURN(const absl::string_view key, document_.Text(*id->items()[2]));
    ASSIGN_OR_RETURN(const int64_t elements, document_.Int(*id->items()[4]));
    const std::string record = absl::StrCat("data/", key);
    const absl::string_view name = id->items()[1]->global_name();
    torch::Tensor& cached = storages_[{record, std::string(name)}];
    if (cached.defined()) return cached;
    for (const StorageType& type : kStorageTypes) {
      if (name != absl::StrCat("torch.", type.name)) continue;
      const absl::StatusOr<absl::string_view> data = archive_.Read(record);
      if (!data.ok()) return document_.Error(value, data.status().message());
      const size_t item_size = c10::elementSize(type.dtype);
      if (elements < 0 || data->size() / item_size < static_cast<uint64_t>(elements)) {
        return document_.Error(
            value, absl::StrCat("record ", Shown(record), " has ", data->size(), " bytes, want ",
                                elements, " elements of ", item_size, " bytes"));
      }
      ASSIGN_OR_RETURN(cached, CatchTorch([&] { return torch::empty({elements}, type.dtype); }));
      if (elements > 0) std::memcpy(cached.data_ptr(), data->data(), elements * item_size);
      return cached;
    }
    return document_.Error(value, absl::StrCat("tensors of ", name, " are not supported"));
  }

  const pickle::Document& document_;
  const Archive& archive_;
  double bytes_left_;
  std::map<std::pair<std::string, std::string>, torch::Tensor> storages_;  // by record and type
};

}  // namespace

absl::StatusOr<StateDict> ReadTensors(const pickle::Document& document, const StateChoice& choice,
                                      const Archive& archive) {
  return StateReader(document, archive).Read(choice);
}

}  // namespace cmerc
