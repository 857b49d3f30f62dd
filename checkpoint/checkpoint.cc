#include "checkpoint/checkpoint.h"

#include <caffe2/serialize/inline_container.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <sys/stat.h>

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/torch_status.h"
#include "metrics/json.h"
#include "pickle/pickle.h"
#include "pickle/writer.h"

namespace cmerc {
namespace {

constexpr char kMetadataRecord[] = "cmerc/metadata.textproto";
constexpr int kFormatVersion = 1;

// torch.save()'s name of the storage of each element type.
struct StorageType {
  torch::ScalarType dtype;
  const char* name;
};
constexpr StorageType kStorageTypes[] = {
    {torch::kFloat32, "FloatStorage"}, {torch::kFloat64, "DoubleStorage"},
    {torch::kFloat16, "HalfStorage"},  {torch::kBFloat16, "BFloat16Storage"},
    {torch::kInt64, "LongStorage"},    {torch::kInt32, "IntStorage"},
    {torch::kInt16, "ShortStorage"},   {torch::kInt8, "CharStorage"},
    {torch::kUInt8, "ByteStorage"},    {torch::kBool, "BoolStorage"},
};

// data.pkl of a state dict: what torch.save() writes for a dict of contiguous tensors.
std::string StatePickle(const StateDict& state) {
  pickle::Writer writer;
  writer.EmptyDict();
  writer.Mark();
  int64_t index = 0;
  for (const auto& [name, tensor] : state) {
    writer.String(name);
    writer.Global("torch._utils", "_rebuild_tensor_v2");
    writer.Mark();
    {
      writer.Mark();  // the storage: ("storage", type, key, location, elements)
      writer.String("storage");
      for (const StorageType& type : kStorageTypes) {
        if (type.dtype == tensor.scalar_type()) writer.Global("torch", type.name);
      }
      writer.String(absl::StrCat(index++));
      writer.String("cpu");
      writer.Int(tensor.numel());
      writer.TupleFromMark();
      writer.BinPersId();
    }
    writer.Int(0);  // offset into the storage
    for (const torch::IntArrayRef extents : {tensor.sizes(), tensor.strides()}) {
      writer.Mark();
      for (const int64_t extent : extents) writer.Int(extent);
      writer.TupleFromMark();
    }
    writer.Bool(false);  // requires_grad
    writer.Global("collections", "OrderedDict");
    writer.Tuple(0);
    writer.Reduce();  // no backward hooks
    writer.TupleFromMark();
    writer.Reduce();
  }
  writer.SetItems();
  return std::move(writer).Finish();
}

std::string Archive(const StateDict& state, const CheckpointMetadata& metadata) {
  std::string bytes;
  caffe2::serialize::PyTorchStreamWriter writer([&bytes](const void* data, size_t size) {
    bytes.append(static_cast<const char*>(data), size);
    return size;
  });
  const std::string pickled = StatePickle(state);
  writer.writeRecord("data.pkl", pickled.data(), pickled.size());
  int64_t index = 0;
  for (const auto& [name, tensor] : state) {
    writer.writeRecord(absl::StrCat("data/", index++), tensor.data_ptr(), tensor.nbytes());
  }
  google::protobuf::TextFormat::Printer printer;
  printer.SetExpandAny(true);
  std::string text;
  TORCH_CHECK(printer.PrintToString(metadata, &text), "the metadata cannot be printed");
  writer.writeRecord(kMetadataRecord, text.data(), text.size());
  writer.writeEndOfFile();
  return bytes;
}

// Reads the tensors that data.pkl describes.
class StateReader {
 public:
  StateReader(const pickle::Document& document, caffe2::serialize::PyTorchStreamReader& archive)
      : document_(document), archive_(archive) {}

  absl::StatusOr<StateDict> Read() {
    const pickle::Value* dict = &document_.root();
    if (dict->kind() == pickle::Kind::kDict) {
      const pickle::Value* inner = dict->Find("state_dict");
      if (inner != nullptr && inner->kind() == pickle::Kind::kDict) dict = inner;
    }
    if (dict->kind() != pickle::Kind::kDict) {
      return document_.Error(*dict, absl::StrCat("a state dict is a dict of tensors, found ",
                                                 pickle::Describe(*dict)));
    }
    StateDict state;
    for (size_t i = 0; i < dict->keys().size(); ++i) {
      absl::StatusOr<absl::string_view> name = document_.Text(*dict->keys()[i]);
      if (!name.ok()) return name.status();
      absl::StatusOr<torch::Tensor> tensor = ReadTensor(*dict->values()[i]);
      if (!tensor.ok()) {
        return absl::Status(tensor.status().code(),
                            absl::StrCat(tensor.status().message(), " (tensor ", *name, ")"));
      }
      state[std::string(*name)] = *std::move(tensor);
    }
    return state;
  }

 private:
  absl::StatusOr<torch::Tensor> ReadTensor(const pickle::Value& value) {
    if (value.kind() != pickle::Kind::kObject || value.args() == nullptr) {
      return document_.Error(value, absl::StrCat("want a tensor, found ", pickle::Describe(value)));
    }
    const absl::Span<const pickle::Value* const> args = value.args()->items();
    if (value.global_name() == "torch._utils._rebuild_parameter" && !args.empty() &&
        args[0]->global_name() != value.global_name()) {
      return ReadTensor(*args[0]);
    }
    if (value.global_name() != "torch._utils._rebuild_tensor_v2" || args.size() < 4) {
      return document_.Error(value,
                             absl::StrCat("want a tensor, found a call of ", value.global_name(),
                                          "; save the state dict of "
                                          "plain tensors, torch.save(model.state_dict(), f)"));
    }
    const absl::StatusOr<torch::Tensor> storage = ReadStorage(*args[0]);
    if (!storage.ok()) return storage;
    const absl::StatusOr<int64_t> offset = document_.Int(*args[1]);
    const absl::StatusOr<std::vector<int64_t>> sizes = ReadExtents(*args[2]);
    const absl::StatusOr<std::vector<int64_t>> strides = ReadExtents(*args[3]);
    for (const absl::Status& status : {offset.status(), sizes.status(), strides.status()}) {
      if (!status.ok()) return status;
    }
    // The last element the tensor would touch, without overflow.
    bool inside = *offset >= 0 && sizes->size() == strides->size();
    double last = static_cast<double>(*offset);
    bool empty = false;
    for (size_t d = 0; inside && d < sizes->size(); ++d) {
      inside = (*sizes)[d] >= 0 && (*strides)[d] >= 0;
      empty = empty || (*sizes)[d] == 0;
      last += static_cast<double>((*sizes)[d] - 1) * static_cast<double>((*strides)[d]);
    }
    if (!inside || (!empty && last >= static_cast<double>(storage->numel()))) {
      return document_.Error(value, absl::StrCat("the tensor reaches beyond its storage of ",
                                                 storage->numel(), " elements"));
    }
    return CatchTorch([&] { return storage->as_strided(*sizes, *strides, *offset).contiguous(); });
  }

  absl::StatusOr<std::vector<int64_t>> ReadExtents(const pickle::Value& value) {
    const auto items = document_.Sequence(value);
    if (!items.ok()) return items.status();
    std::vector<int64_t> extents;
    for (const pickle::Value* item : *items) {
      const absl::StatusOr<int64_t> extent = document_.Int(*item);
      if (!extent.ok()) return extent.status();
      extents.push_back(*extent);
    }
    return extents;
  }

  // A [elements] tensor.
  absl::StatusOr<torch::Tensor> ReadStorage(const pickle::Value& value) {
    const pickle::Value* id = value.persistent_id();
    if (id == nullptr || id->items().size() < 5 ||
        id->items()[1]->kind() != pickle::Kind::kGlobal) {
      return document_.Error(value, "want a storage");
    }
    const absl::StatusOr<absl::string_view> key = document_.Text(*id->items()[2]);
    const absl::StatusOr<int64_t> elements = document_.Int(*id->items()[4]);
    if (!key.ok()) return key.status();
    if (!elements.ok()) return elements.status();
    const std::string record = absl::StrCat("data/", *key);
    const auto cached = storages_.find(record);
    if (cached != storages_.end()) return cached->second;
    absl::string_view name = id->items()[1]->global_name();
    for (const StorageType& type : kStorageTypes) {
      if (name != absl::StrCat("torch.", type.name)) continue;
      absl::StatusOr<torch::Tensor> storage = CatchTorch([&] {
        TORCH_CHECK_VALUE(archive_.hasRecord(record), "the archive has no ", record);
        auto [data, size] = archive_.getRecord(record);
        const auto item_size = static_cast<int64_t>(c10::elementSize(type.dtype));
        TORCH_CHECK_VALUE(*elements >= 0 && static_cast<int64_t>(size) / item_size >= *elements,
                          record, " has ", size, " bytes, want ", *elements, " elements of ",
                          item_size, " bytes");
        torch::Tensor tensor = torch::empty({*elements}, type.dtype);
        std::memcpy(tensor.data_ptr(), data.get(), *elements * item_size);
        return tensor;
      });
      if (storage.ok()) storages_[record] = *storage;
      return storage;
    }
    return document_.Error(value, absl::StrCat("tensors of ", name, " are not supported"));
  }

  const pickle::Document& document_;
  caffe2::serialize::PyTorchStreamReader& archive_;
  std::map<std::string, torch::Tensor> storages_;
};

absl::StatusOr<CheckpointMetadata> ParseMetadata(const std::string& text) {
  // Keeps the first problem, with its place, instead of logging it.
  class FirstError : public google::protobuf::io::ErrorCollector {
   public:
    void AddError(int line, int column, const std::string& message) override {
      if (first.empty()) first = absl::StrCat(line + 1, ":", column + 1, ": ", message);
    }
    std::string first;
  } errors;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  CheckpointMetadata metadata;
  if (!parser.ParseFromString(text, &metadata)) {
    return absl::InvalidArgumentError(
        absl::StrCat(kMetadataRecord, ":", errors.first,
                     "; was it written by a program with other plugins linked in?"));
  }
  if (metadata.format_version() > kFormatVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat(kMetadataRecord, ": format_version = ", metadata.format_version(),
                     ", this program reads up to ", kFormatVersion, "; use a newer cmerc"));
  }
  return metadata;
}

absl::Status CheckRegularFile(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno),
                                            "; want a checkpoint, for example DIR/selected.pth"));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": this is no regular file; want a checkpoint, for example ", path, "/selected.pth"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteCheckpoint(const std::string& path, const StateDict& state,
                             const CheckpointMetadata& metadata) {
  const absl::StatusOr<std::string> bytes = CatchTorch([&] {
    StateDict plain;
    for (const auto& [name, tensor] : state) plain[name] = tensor.detach().cpu().contiguous();
    CheckpointMetadata versioned = metadata;
    versioned.set_format_version(kFormatVersion);
    return Archive(plain, versioned);
  });
  if (!bytes.ok()) return bytes.status();
  return WriteFileAtomically(path, *bytes);
}

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path) {
  const absl::Status regular = CheckRegularFile(path);
  if (!regular.ok()) return regular;
  absl::StatusOr<std::unique_ptr<caffe2::serialize::PyTorchStreamReader>> archive =
      CatchTorch([&] { return std::make_unique<caffe2::serialize::PyTorchStreamReader>(path); });
  const auto read = [&](const std::string& record) -> absl::StatusOr<std::string> {
    return CatchTorch([&] {
      auto [data, size] = (*archive)->getRecord(record);
      return std::string(static_cast<const char*>(data.get()), size);
    });
  };
  if (!archive.ok() || !(*archive)->hasRecord("data.pkl")) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": not a checkpoint, or a damaged one", archive.ok() ? " (it has no data.pkl)" : "",
        "; want the file of `cmerc train`, or of torch.save(model.state_dict(), file) of PyTorch "
        "1.6 or later"));
  }
  absl::StatusOr<std::string> pickled = read("data.pkl");
  if (!pickled.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", pickled.status().message()));
  }
  pickle::Options options;
  options.allow_persistent_ids = true;
  options.allowed_globals = {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"};
  for (const StorageType& type : kStorageTypes) {
    options.allowed_globals.insert(absl::StrCat("torch.", type.name));
  }
  const absl::StatusOr<std::unique_ptr<pickle::Document>> document =
      pickle::Document::Parse(*std::move(pickled), absl::StrCat(path, ":data.pkl"), options);
  if (!document.ok()) return document.status();
  absl::StatusOr<StateDict> state = StateReader(**document, **archive).Read();
  if (!state.ok()) return absl::InvalidArgumentError(state.status().message());
  Checkpoint checkpoint{*std::move(state), std::nullopt};
  if ((*archive)->hasRecord(kMetadataRecord)) {
    const absl::StatusOr<std::string> text = read(kMetadataRecord);
    if (!text.ok()) return text.status();
    absl::StatusOr<CheckpointMetadata> metadata = ParseMetadata(*text);
    if (!metadata.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": ", metadata.status().message()));
    }
    checkpoint.metadata = *std::move(metadata);
  }
  return checkpoint;
}

}  // namespace cmerc
