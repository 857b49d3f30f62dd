#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bytes/file_kind.h"
#include "bytes/inflate.h"
#include "bytes/whole_file.h"
#include "core/status.h"
#include "storage/pickle/arena.h"
#include "storage/pickle/machine.h"
#include "storage/pickle/pickle.h"
#include "storage/pickle/text.h"

namespace cmerc::pickle {
namespace {

// What a compressed file may be larger by than its bytes say: MostInflated() has 64 times as much.
constexpr uint64_t kCompressedBase = uint64_t{1} << 18;

struct Free {
  void operator()(char* memory) const { std::free(memory); }
};
using FileBytes = std::unique_ptr<char[], Free>;

// Room for a file; nullptr where there is none. In large pages where it is much: to touch pages of
// 4 KiB for the first time takes longer than to read the file.
FileBytes Allocate(size_t size) {
  constexpr size_t kLargePage = size_t{2} << 20;
  if (size < kLargePage) return FileBytes(static_cast<char*>(std::malloc(size + 1)));
  const size_t rounded = (size + kLargePage - 1) / kLargePage * kLargePage;
  void* const memory = std::aligned_alloc(kLargePage, rounded);
  if (memory != nullptr) madvise(memory, rounded, MADV_HUGEPAGE);
  return FileBytes(static_cast<char*>(memory));
}

}  // namespace

class Document::Storage {
 public:
  explicit Storage(std::string bytes)
      : string_(std::move(bytes)), bytes_(string_), measured_size_(bytes_.size()) {}
  Storage(FileBytes file, size_t size)
      : file_(std::move(file)), bytes_(file_.get(), size), measured_size_(size) {}
  // `inflated` is what a file of `file_size` bytes holds.
  Storage(std::string inflated, uint64_t file_size) : Storage(std::move(inflated)) {
    measured_size_ = std::min(measured_size_, file_size + kCompressedBase);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  absl::string_view bytes() const { return bytes_; }
  // The bytes that memory is measured by.
  uint64_t measured_size() const { return measured_size_; }

  Arena arena;

 private:
  const std::string string_;  // this or ...
  const FileBytes file_;      // ... this
  const absl::string_view bytes_;
  uint64_t measured_size_;
};

Document::Document(std::string name, std::unique_ptr<Storage> storage)
    : name_(std::move(name)), storage_(std::move(storage)) {}

Document::~Document() = default;

namespace {

// Reads a regular file. Errors are those of Document::Open().
absl::StatusOr<FileBytes> ReadFile(const std::string& path, size_t* file_size) {
  ASSIGN_OR_RETURN(const FileReader file, FileReader::Open(path));
  if (S_ISDIR(file.mode())) return file.Error("is a directory, expected a pickle file");
  if (!S_ISREG(file.mode())) return file.Error("is not a regular file");
  if (file.size() >= uint64_t{1} << 48) return file.Error("is larger than 2^48 bytes");
  // Read, not mapped: a mapped file that another program cuts short ends this one by a signal.
  *file_size = file.size();
  FileBytes bytes = Allocate(file.size());
  if (bytes == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": there is no memory for its ", file.size(), " bytes"));
  }
  RETURN_IF_ERROR(file.ReadAll(bytes.get()));
  return bytes;
}

// Returns the error of a file that is no pickle: what it is instead, where that can be told, else
// `problem`.
absl::Status NotAPickle(const absl::Status& problem, absl::string_view content,
                        absl::string_view compressed, const std::string& path) {
  if (!absl::IsInvalidArgument(problem)) return problem;
  const std::string wrong = WrongFileKind(content, FileUse::kPickle, path);
  if (wrong.empty()) return problem;
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": ", compressed.empty() ? "" : absl::StrCat("is ", compressed, ", and what it holds "),
      wrong));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Document>> Document::Open(const std::string& path,
                                                         const Options& options) {
  size_t size = 0;
  ASSIGN_OR_RETURN(FileBytes file, ReadFile(path, &size));
  const absl::string_view bytes(file.get(), size);
  std::unique_ptr<Storage> storage;
  absl::string_view compressed;
  if (IsGzip(bytes) || IsZlib(bytes)) {
    compressed = FileKindName(IsGzip(bytes) ? FileKind::kGzip : FileKind::kZlib);
    ASSIGN_OR_RETURN(std::string inflated, Annotate(Inflate(bytes), path));
    storage = std::make_unique<Storage>(std::move(inflated), size);
    file.reset();
  } else {
    storage = std::make_unique<Storage>(std::move(file), size);
  }
  std::unique_ptr<Document> document(new Document(path, std::move(storage)));
  absl::Status run = document->Run(options);
  const absl::string_view pickle = document->storage_->bytes();
  // Protocols without a byte that says which have lines, and can be read with a CR too many: every
  // text and name would end in it.
  if (run.ok() && pickle[0] != '\x80' && FileKindOf(pickle) == FileKind::kTextModePickle) {
    run = absl::InvalidArgumentError("");
  }
  if (!run.ok()) return NotAPickle(run, pickle, compressed, path);
  return document;
}

absl::StatusOr<std::unique_ptr<Document>> Document::Parse(std::string bytes, std::string name,
                                                          const Options& options) {
  std::unique_ptr<Document> document(
      new Document(std::move(name), std::make_unique<Storage>(std::move(bytes))));
  RETURN_IF_ERROR(document->Run(options));
  return document;
}

absl::Status Document::Run(const Options& options) {
  Machine machine(storage_->bytes(), name_, options, storage_->measured_size(), &storage_->arena);
  ASSIGN_OR_RETURN(const Value* root, machine.Run());
  root_ = root;
  pickle_size_ = machine.position();
  return absl::OkStatus();
}

uint64_t Document::measured_size() const {
  return std::min(pickle_size_, storage_->measured_size());
}

uint64_t Document::memory_used() const { return storage_->arena.used(); }

absl::Status Document::Error(const Value& value, absl::string_view message) const {
  return absl::InvalidArgumentError(absl::StrCat(name_, ": byte ", value.offset(), ": ", message));
}

absl::StatusOr<int64_t> Document::Int(const Value& value) const {
  if (value.kind() == Kind::kInt) return value.int_value();
  if (value.kind() == Kind::kBool) return value.bool_value() ? 1 : 0;
  const char kind = value.dtype().kind;
  int64_t result;
  if (value.num_elements() == 1 && (kind == 'i' || kind == 'u' || kind == 'b') &&
      value.CopyTo(absl::MakeSpan(&result, 1)).ok()) {
    return result;
  }
  return Error(value,
               absl::StrCat("expected an integer, got ", Describe(value), HowToConvert(value)));
}

absl::StatusOr<double> Document::Number(const Value& value) const {
  if (value.kind() == Kind::kFloat) return value.float_value();
  if (value.kind() == Kind::kInt) return static_cast<double>(value.int_value());
  if (value.kind() == Kind::kBool) return value.bool_value() ? 1 : 0;
  double result;
  if (value.num_elements() == 1 && value.CopyTo(absl::MakeSpan(&result, 1)).ok()) return result;
  return Error(value,
               absl::StrCat("expected a number, got ", Describe(value), HowToConvert(value)));
}

absl::StatusOr<absl::string_view> Document::Text(const Value& value) const {
  if (value.kind() == Kind::kString) return value.string();
  if (value.kind() == Kind::kBytes) return value.bytes();
  return Error(value, absl::StrCat("expected a str, got ", Describe(value), HowToConvert(value)));
}

absl::StatusOr<absl::Span<const Value* const>> Document::Sequence(const Value& value) const {
  if (value.kind() == Kind::kList || value.kind() == Kind::kTuple || value.kind() == Kind::kSet ||
      (value.kind() == Kind::kArray && value.dtype().kind == 'O' && value.shape().size() == 1)) {
    return value.items();
  }
  return Error(value, absl::StrCat("expected a list, got ", Describe(value), HowToConvert(value)));
}

absl::StatusOr<std::vector<std::string>> Document::Texts(const Value& value) const {
  std::vector<std::string> texts;
  // A list may hold one long text many times.
  uint64_t bytes_left = 64 * measured_size() + (uint64_t{1} << 20);
  const DType dtype = value.dtype();
  if (value.kind() == Kind::kArray && value.shape().size() == 1 &&
      (dtype.kind == 'S' || dtype.kind == 'U')) {
    for (int64_t i = 0; i < value.num_elements(); ++i) {
      const absl::string_view raw = value.raw_data().substr(i * dtype.item_size, dtype.item_size);
      if (dtype.kind == 'S') {
        texts.emplace_back(raw.substr(0, raw.find_last_not_of('\0') + 1));
      } else if (!Utf32ToUtf8(raw, dtype.big_endian, &texts.emplace_back())) {
        return Error(value, absl::StrCat("element ", i, " is not Unicode"));
      }
    }
    return texts;
  }
  ASSIGN_OR_RETURN(absl::Span<const Value* const> items, Sequence(value));
  texts.reserve(items.size());
  for (const Value* item : items) {
    ASSIGN_OR_RETURN(absl::string_view text, Text(*item));
    if (text.size() > bytes_left) {
      return Error(value, "more text than a file of this size may hold");
    }
    bytes_left -= text.size();
    texts.emplace_back(text);
  }
  return texts;
}

}  // namespace cmerc::pickle
