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
#include "core/printable.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "storage/archive.h"
#include "storage/atomic_file.h"
#include "storage/pickle/pickle.h"
#include "storage/pickle/writer.h"
#include "storage/python_files.h"
#include "storage/state_choice.h"
#include "storage/state_reader.h"
#include "storage/storage_types.h"

namespace cmerc {
namespace {

constexpr char kMetadataRecord[] = "cmerc/metadata.textproto";
constexpr int kFormatVersion = 1;
// Deeper than any metadata.
constexpr int kDeepestMetadata = 50;
constexpr size_t kMostMetadataBytes = size_t{1} << 28;
// ReadText() keeps all words of a text in memory.
constexpr size_t kMostFormerMetadataBytes = size_t{1} << 22;

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

// InvalidArgument: this is no archive of torch.save(), or of another machine. `other` says what it
// is where that is known.
absl::Status CheckArchive(const absl::StatusOr<Archive>& archive, const std::string& other,
                          const std::string& path) {
  if (!archive.ok() || !archive->Has("data.pkl")) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": not a checkpoint, or a damaged one (",
        archive.ok() ? "it has no data.pkl" : archive.status().message(),
        "); want the file of `cmerc train`, or of torch.save(model.state_dict(), file) of PyTorch "
        "1.6 or later",
        other.empty() ? "" : "; ", other));
  }
  if (archive->Has("byteorder") && archive->Read("byteorder").value_or("") != "little") {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": not written by a little-endian machine; load it there and save it again here"));
  }
  if (archive->Has("constants.pkl")) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", DescribeTorchScript(path)));
  }
  return absl::OkStatus();
}

// The globals that may be in data.pkl. Nothing is called; those of the second kind are what
// training scripts save beside the weights, and nobody looks at them.
pickle::Options PickleOptions() {
  pickle::Options options;
  options.allow_persistent_ids = true;
  options.refuse_unknown = true;
  options.allowed_globals = {
      kRebuildTensor,      kRebuildParameter,     "argparse.Namespace", "types.SimpleNamespace",
      "pathlib.PosixPath", "pathlib.WindowsPath", "datetime.datetime",  "datetime.timedelta",
      "torch.device",      "torch.Size",          "collections.Counter"};
  for (const StorageType& type : kStorageTypes) {
    options.allowed_globals.insert(absl::StrCat("torch.", type.name));
  }
  return options;
}

absl::StatusOr<Checkpoint> ReadArchive(const Archive& archive, const std::string& path) {
  ASSIGN_OR_RETURN(const absl::string_view pickled, Annotate(archive.Read("data.pkl"), path));
  const auto document = pickle::Document::Parse(std::string(pickled),
                                                absl::StrCat(path, ":data.pkl"), PickleOptions());
  if (!document.ok()) {
    return absl::Status(
        document.status().code(),
        absl::StrCat(document.status().message(), "; ", DescribeOtherObjects(pickled, path)));
  }
  const bool ours = archive.Has(kMetadataRecord);
  ASSIGN_OR_RETURN(const StateChoice choice, ChooseState(**document, path, /*as_it_is=*/ours));
  absl::StatusOr<StateDict> state = ReadTensors(**document, choice, archive);
  if (!state.ok()) return absl::InvalidArgumentError(state.status().message());
  Checkpoint checkpoint{*std::move(state), std::nullopt, choice.note};
  if (ours) {
    ASSIGN_OR_RETURN(const absl::string_view text, Annotate(archive.Read(kMetadataRecord), path));
    ASSIGN_OR_RETURN(checkpoint.metadata, Annotate(ParseMetadata(std::string(text)), path));
  }
  return checkpoint;
}

}  // namespace

std::string NoteLine(const Checkpoint& checkpoint, const std::string& path) {
  if (checkpoint.note.empty()) return "";
  return absl::StrCat("note: ", Printable(path), ": ", Printable(checkpoint.note), "\n");
}

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
  // Only a file that is no archive is described: what an archive holds is said by what reads it.
  const std::string other = DescribeOtherFormat(bytes, path);
  const absl::StatusOr<Archive> archive = Archive::Parse(std::move(bytes));
  RETURN_IF_ERROR(CheckArchive(archive, other, path));
  return ReadArchive(*archive, path);
}

}  // namespace cmerc
