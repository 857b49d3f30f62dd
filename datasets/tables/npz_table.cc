#include "datasets/tables/npz_table.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "bytes/npy.h"
#include "bytes/zip.h"
#include "core/status.h"
#include "datasets/formats/npz_file.h"

namespace cmerc::datasets {
namespace {

class NpzTable final : public ArrayTable {
 public:
  explicit NpzTable(std::unique_ptr<NpzFile> file)
      : ArrayTable(file->path(), file->names()), file_(std::move(file)) {}

  bool Has(absl::string_view id) const override { return file_->Find(id) != nullptr; }

 private:
  absl::StatusOr<std::vector<int64_t>> FullShapeOf(absl::string_view id) const override {
    RETURN_IF_ERROR(CheckNumbers(*file_->Find(id)));
    return file_->Find(id)->shape;
  }
  absl::Status CopyAll(absl::string_view id, absl::Span<float> out) const override {
    const absl::Status status = file_->CopyFloats(id, out);
    const std::string place = absl::StrCat(path(), ": array \"", ShownZipName(id), "\" ");
    return absl::Status(status.code(),
                        absl::StripPrefix(absl::string_view(status.message()), place));
  }
  absl::StatusOr<std::string> DescribeIt(absl::string_view id) const override {
    return file_->Find(id)->Describe();
  }

  const std::unique_ptr<NpzFile> file_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ArrayTable>> OpenNpzTable(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<NpzFile> file, NpzFile::Open(path));
  return std::make_unique<NpzTable>(std::move(file));
}

}  // namespace cmerc::datasets
