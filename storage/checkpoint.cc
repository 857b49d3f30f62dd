#include "storage/checkpoint.h"

#include <caffe2/serialize/inline_container.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "bytes/file_kind.h"
#include "config/loader.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "storage/archive.h"
#include "storage/atomic_file.h"
#include "storage/pickle/pickle.h"
#include "storage/pickle/writer.h"

namespace cmerc {
namespace {

constexpr char kMetadataRecord[] = "cmerc/metadata.textproto";
constexpr int kFormatVersion = 1;
// Bytes of tensors per byte of the file: names may share a storage, and a view may repeat its
// elements, but a small file must not fill the memory.
constexpr double kMostExpansion = 64;
constexpr size_t kMostAxes = 64;  // the limit of most of LibTorch's operators
// Deeper than any metadata.
constexpr int kDeepestMetadata = 50;
constexpr size_t kMostMetadataBytes = size_t{1} << 28;
// ReadText() keeps all words of a text in memory.
constexpr size_t kMostFormerMetadataBytes = size_t{1} << 22;

// An element type, and what torch.save() calls a storage of it.
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
      const auto* type = std::find_if(
          std::begin(kStorageTypes), std::end(kStorageTypes),
          [dtype = tensor.scalar_type()](const StorageType& t) { return t.dtype == dtype; });
      TORCH_CHECK_TYPE(type != std::end(kStorageTypes), "tensor ", name, " is of type ",
                       tensor.scalar_type(), ", which checkpoints do not hold");
      writer.Global("torch", type->name);
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

// Calls write(bytes) with the archive, piece by piece.
void WriteArchive(const StateDict& state, const CheckpointMetadata& metadata,
                  const std::function<void(absl::string_view)>& write) {
  caffe2::serialize::PyTorchStreamWriter writer([&write](const void* data, size_t size) {
    write({static_cast<const char*>(data), size});
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
}

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
      ASSIGN_OR_RETURN(absl::string_view name, document_.Text(*dict->keys()[i]));
      absl::StatusOr<torch::Tensor> tensor = ReadTensor(*dict->values()[i]);
      if (!tensor.ok()) {
        return absl::Status(tensor.status().code(),
                            absl::StrCat(tensor.status().message(), " (tensor ", Shown(name), ")"));
      }
      if (!state.emplace(name, *std::move(tensor)).second) {
        return document_.Error(*dict->keys()[i],
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

// Whether messages are nested deeper than kDeepestMetadata: Protobuf's parser would follow an Any
// in an Any in an Any ... until the stack ends, whatever its own limit.
bool IsTooDeep(const std::string& text) {
  class Silent : public google::protobuf::io::ErrorCollector {
    void AddError(int, int, const std::string&) override {}
  } silent;
  google::protobuf::io::ArrayInputStream input(text.data(), static_cast<int>(text.size()));
  google::protobuf::io::Tokenizer tokenizer(&input, &silent);
  // These two are set as TextFormat::Parser sets them.
  tokenizer.set_allow_f_after_float(true);
  tokenizer.set_comment_style(google::protobuf::io::Tokenizer::SH_COMMENT_STYLE);
  int depth = 0;
  while (depth <= kDeepestMetadata && tokenizer.Next()) {
    const std::string& token = tokenizer.current().text;
    if (token == "{" || token == "<") ++depth;
    if (token == "}" || token == ">") --depth;
  }
  return depth > kDeepestMetadata;
}

// Reads what an earlier version of the program wrote, with fields by their former names, over an
// empty `metadata`: whether that is what `text` is.
bool ReadFormerMetadata(const std::string& text, CheckpointMetadata* metadata) {
  return text.size() <= kMostFormerMetadataBytes && ReadText(text, kMetadataRecord, metadata).ok();
}

// InvalidArgument, without the file's name: `text` is no metadata, nested too deep, or of a newer
// format.
absl::StatusOr<CheckpointMetadata> ParseMetadata(const std::string& text) {
  if (text.size() > kMostMetadataBytes) {
    return absl::InvalidArgumentError(absl::StrCat(kMetadataRecord, ": has ", text.size(),
                                                   " bytes, want at most ", kMostMetadataBytes));
  }
  if (IsTooDeep(text)) {
    return absl::InvalidArgumentError(
        absl::StrCat(kMetadataRecord, ": messages are nested deeper than ", kDeepestMetadata));
  }
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
  if (!parser.ParseFromString(text, &metadata) && !ReadFormerMetadata(text, &metadata)) {
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

// NotFound: there is no such file. InvalidArgument: it is no regular file, or begins as a file of
// another kind does.
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
  constexpr size_t kHeadSize = 4096;
  std::string head(kHeadSize, '\0');
  std::ifstream in(path, std::ios::binary);
  head.resize(in.read(head.data(), kHeadSize).gcount());
  const std::string wrong = WrongFileKind(head, FileUse::kCheckpoint, path);
  if (!wrong.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", wrong));
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteCheckpoint(const std::string& path, const StateDict& state,
                             const CheckpointMetadata& metadata) {
  ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  absl::Status written;
  RETURN_IF_ERROR(CatchTorch([&] {
    StateDict plain;
    for (const auto& [name, tensor] : state) plain[name] = tensor.detach().cpu().contiguous();
    CheckpointMetadata versioned = metadata;
    versioned.set_format_version(kFormatVersion);
    WriteArchive(plain, versioned, [&](absl::string_view bytes) {
      if (written.ok()) written = file->Write(bytes);
    });
  }));
  RETURN_IF_ERROR(written);
  return file->Commit();
}

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path) {
  RETURN_IF_ERROR(CheckRegularFile(path));
  errno = 0;
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  std::string bytes(in.good() ? static_cast<size_t>(in.tellg()) : 0, '\0');
  in.seekg(0).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in.good()) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be read",
                                               errno != 0 ? absl::StrCat(": ", std::strerror(errno))
                                                          : "; does another program write it?"));
  }
  const absl::StatusOr<Archive> archive = Archive::Parse(std::move(bytes));
  if (!archive.ok() || !archive->Has("data.pkl")) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": not a checkpoint, or a damaged one (",
        archive.ok() ? "it has no data.pkl" : archive.status().message(),
        "); want the file of `cmerc train`, or of torch.save(model.state_dict(), file) of PyTorch "
        "1.6 or later"));
  }
  if (archive->Has("byteorder") && archive->Read("byteorder").value_or("") != "little") {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": not written by a little-endian machine; load it there and save it again here"));
  }
  ASSIGN_OR_RETURN(const absl::string_view pickled, Annotate(archive->Read("data.pkl"), path));
  pickle::Options options;
  options.allow_persistent_ids = true;
  options.allowed_globals = {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"};
  for (const StorageType& type : kStorageTypes) {
    options.allowed_globals.insert(absl::StrCat("torch.", type.name));
  }
  ASSIGN_OR_RETURN(
      const std::unique_ptr<pickle::Document> document,
      pickle::Document::Parse(std::string(pickled), absl::StrCat(path, ":data.pkl"), options));
  absl::StatusOr<StateDict> state = StateReader(*document, *archive).Read();
  if (!state.ok()) return absl::InvalidArgumentError(state.status().message());
  Checkpoint checkpoint{*std::move(state), std::nullopt};
  if (archive->Has(kMetadataRecord)) {
    ASSIGN_OR_RETURN(const absl::string_view text, Annotate(archive->Read(kMetadataRecord), path));
    ASSIGN_OR_RETURN(checkpoint.metadata, Annotate(ParseMetadata(std::string(text)), path));
  }
  return checkpoint;
}

}  // namespace cmerc
