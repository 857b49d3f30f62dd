#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "pickle/arena.h"
#include "pickle/machine.h"
#include "pickle/pickle.h"
#include "pickle/text.h"

namespace cmerc::pickle {

class Document::Storage {
 public:
  explicit Storage(std::string bytes) : owned_(std::move(bytes)) {}
  Storage(void* mapping, size_t size) : mapping_(mapping), mapping_size_(size) {}
  ~Storage() {
    if (mapping_ != nullptr) munmap(mapping_, mapping_size_);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  absl::string_view bytes() const {
    if (mapping_ != nullptr) return {static_cast<const char*>(mapping_), mapping_size_};
    return owned_;
  }

  Arena arena;

 private:
  const std::string owned_;
  void* const mapping_ = nullptr;
  const size_t mapping_size_ = 0;
};

Document::Document(std::string name, std::unique_ptr<Storage> storage)
    : name_(std::move(name)), storage_(std::move(storage)) {}

Document::~Document() = default;

absl::StatusOr<std::unique_ptr<Document>> Document::Open(const std::string& path,
                                                         const Options& options) {
  // O_NONBLOCK: a named pipe must not make us wait.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    const std::string message = absl::StrCat(path, ": cannot be opened: ", std::strerror(errno));
    if (errno == ENOENT) return absl::NotFoundError(message);
    return absl::InvalidArgumentError(message);
  }
  struct stat info;
  void* mapping = nullptr;
  std::string problem;
  if (fstat(file, &info) != 0) {
    problem = std::strerror(errno);
  } else if (!S_ISREG(info.st_mode)) {
    problem =
        S_ISDIR(info.st_mode) ? "is a directory, expected a pickle file" : "is not a regular file";
  } else if (info.st_size >= int64_t{1} << 48) {
    problem = "is larger than 2^48 bytes";
  } else if (info.st_size > 0) {
    mapping = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ,
                   MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (mapping == MAP_FAILED) {
      problem = absl::StrCat("cannot be mapped into memory: ", std::strerror(errno));
    }
  }
  close(file);
  if (!problem.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
  auto storage = mapping == nullptr
                     ? std::make_unique<Storage>(std::string())
                     : std::make_unique<Storage>(mapping, static_cast<size_t>(info.st_size));
  std::unique_ptr<Document> document(new Document(path, std::move(storage)));
  absl::Status status = document->Run(options);
  if (!status.ok()) return status;
  return document;
}

absl::StatusOr<std::unique_ptr<Document>> Document::Parse(std::string bytes, std::string name,
                                                          const Options& options) {
  std::unique_ptr<Document> document(
      new Document(std::move(name), std::make_unique<Storage>(std::move(bytes))));
  absl::Status status = document->Run(options);
  if (!status.ok()) return status;
  return document;
}

absl::Status Document::Run(const Options& options) {
  Machine machine(storage_->bytes(), name_, options, &storage_->arena);
  absl::StatusOr<const Value*> root = machine.Run();
  if (!root.ok()) return root.status();
  root_ = *root;
  pickle_size_ = machine.position();
  return absl::OkStatus();
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
  return Error(value, absl::StrCat("expected an integer, got ", Describe(value)));
}

absl::StatusOr<double> Document::Number(const Value& value) const {
  if (value.kind() == Kind::kFloat) return value.float_value();
  if (value.kind() == Kind::kInt) return static_cast<double>(value.int_value());
  if (value.kind() == Kind::kBool) return value.bool_value() ? 1 : 0;
  double result;
  if (value.num_elements() == 1 && value.CopyTo(absl::MakeSpan(&result, 1)).ok()) return result;
  return Error(value, absl::StrCat("expected a number, got ", Describe(value)));
}

absl::StatusOr<absl::string_view> Document::Text(const Value& value) const {
  if (value.kind() == Kind::kString) return value.string();
  if (value.kind() == Kind::kBytes) return value.bytes();
  return Error(value, absl::StrCat("expected a str, got ", Describe(value)));
}

absl::StatusOr<absl::Span<const Value* const>> Document::Sequence(const Value& value) const {
  if (value.kind() == Kind::kList || value.kind() == Kind::kTuple || value.kind() == Kind::kSet ||
      (value.kind() == Kind::kArray && value.dtype().kind == 'O' && value.shape().size() == 1)) {
    return value.items();
  }
  return Error(value, absl::StrCat("expected a list, got ", Describe(value)));
}

absl::StatusOr<std::vector<std::string>> Document::Texts(const Value& value) const {
  std::vector<std::string> texts;
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
  absl::StatusOr<absl::Span<const Value* const>> items = Sequence(value);
  if (!items.ok()) return items.status();
  texts.reserve(items->size());
  for (const Value* item : *items) {
    absl::StatusOr<absl::string_view> text = Text(*item);
    if (!text.ok()) return text.status();
    texts.emplace_back(*text);
  }
  return texts;
}

}  // namespace cmerc::pickle
