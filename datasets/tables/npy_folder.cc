#include "datasets/tables/npy_folder.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "bytes/file_kind.h"
#include "bytes/npy.h"
#include "bytes/whole_file.h"
#include "core/status.h"

namespace cmerc::datasets {
namespace {

constexpr char kEnding[] = ".npy";

class NpyFolder final : public ArrayTable {
 public:
  // `ids` are in ascending order.
  NpyFolder(std::string path, std::vector<std::string> ids)
      : ArrayTable(std::move(path), std::move(ids)) {}

  bool Has(absl::string_view id) const override {
    return std::binary_search(ids().begin(), ids().end(), id);
  }

 private:
  struct File {
    std::string bytes;
    NpyHeader header;
  };

  // Reads a file; the last one is kept, since its shape is asked for before its values.
  absl::StatusOr<const File*> Read(absl::string_view id) const {
    if (last_id_ == id) return &last_;
    last_id_.clear();
    const std::string file = absl::StrCat(path(), "/", id, kEnding);
    ASSIGN_OR_RETURN(last_.bytes, ReadWholeFile(file));
    absl::StatusOr<NpyHeader> header = ParseNpyHeader(last_.bytes);
    if (!header.ok()) {
      const std::string wrong = WrongFileKind(last_.bytes, FileUse::kArrays, file);
      const FileKind kind = FileKindOf(last_.bytes);
      if (wrong.empty() || kind == FileKind::kNpy) return header.status();
      return absl::InvalidArgumentError(wrong);
    }
    last_.header = *std::move(header);
    last_id_ = std::string(id);
    return &last_;
  }

  absl::StatusOr<std::vector<int64_t>> FullShapeOf(absl::string_view id) const override {
    ASSIGN_OR_RETURN(const File* file, Read(id));
    RETURN_IF_ERROR(CheckNumbers(file->header));
    // Before room is made for its elements: their bytes must be there.
    const auto elements = static_cast<uint64_t>(file->header.num_elements);
    if (elements > file->bytes.size()) {
      return absl::InvalidArgumentError(absl::StrCat("is ", file->header.Describe(),
                                                     " in a file of ", file->bytes.size(),
                                                     " bytes; copy or write it again"));
    }
    return file->header.shape;
  }
  absl::Status CopyAll(absl::string_view id, absl::Span<float> out) const override {
    ASSIGN_OR_RETURN(const File* file, Read(id));
    return CopyNpy(file->bytes, file->header, out);
  }
  absl::StatusOr<std::string> DescribeIt(absl::string_view id) const override {
    ASSIGN_OR_RETURN(const File* file, Read(id));
    return file->header.Describe();
  }

  mutable std::string last_id_;  // of last_; empty: none, since no file is called ".npy"
  mutable File last_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ArrayTable>> OpenNpyFolder(const std::string& path) {
  std::vector<std::string> ids;
  bool has_folders = false;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::error_code ignored;
    has_folders = has_folders || it->is_directory(ignored);
    // Names that begin with a dot are companions that systems make.
    if (!absl::EndsWith(name, kEnding) || name[0] == '.') continue;
    ids.push_back(name.substr(0, name.size() - (sizeof(kEnding) - 1)));
  }
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read: ", error.message()));
  }
  if (ids.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is a folder without .npy files, want one of files called ID.npy",
                     has_folders ? "; name the folder below it that has them" : ""));
  }
  std::sort(ids.begin(), ids.end());
  return std::make_unique<NpyFolder>(path, std::move(ids));
}

}  // namespace cmerc::datasets
