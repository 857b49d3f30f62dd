#include "datasets/tables/array_table.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bytes/file_kind.h"
#include "core/shape.h"
#include "core/status.h"
#include "datasets/formats/finite.h"
#include "datasets/tables/npy_folder.h"
#include "datasets/tables/npz_table.h"
#include "datasets/tables/pickle_table.h"

namespace cmerc::datasets {
namespace {

constexpr size_t kShownIds = 3;
constexpr size_t kHeadSize = 4096;

// Returns the first bytes of a file; none where it cannot be read.
std::string HeadOf(const std::string& path) {
  std::string head(kHeadSize, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  return head;
}

// An id as messages show it: a terminal must not be written to.
std::string Shown(absl::string_view id) {
  return absl::StrCat("'", absl::Utf8SafeCHexEscape(id.substr(0, 100)), "'");
}

// Where the first value is that is not finite: "row 3, column 17 is nan".
std::string PlaceOfNonFinite(absl::Span<const float> values, int64_t width) {
  const auto is_finite = [](float value) { return std::isfinite(value); };
  const auto first = std::find_if_not(values.begin(), values.end(), is_finite);
  const int64_t i = first - values.begin();
  return absl::StrCat("row ", i / width, ", column ", i % width, " is ", *first);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ArrayTable>> ArrayTable::Open(const std::string& path) {
  struct stat info {};
  const bool exists = stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) return OpenNpyFolder(path);
  // What is missing, and pipes, are the pickle reader's to refuse.
  if (!exists || !S_ISREG(info.st_mode)) return OpenPickleTable(path);
  const std::string head = HeadOf(path);
  switch (FileKindOf(head)) {
    case FileKind::kNpz:
      return OpenNpzTable(path);
    case FileKind::kGzip:
    case FileKind::kZlib:
      return OpenPickleTable(path);
    default:
      break;
  }
  const std::string wrong = WrongFileKind(head, FileUse::kArrays, path);
  if (wrong.empty()) return OpenPickleTable(path);
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", wrong));
}

absl::Status ArrayTable::Error(absl::string_view id, absl::string_view problem) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ": ", Shown(id), " ", problem));
}

absl::StatusOr<TableShape> ArrayTable::ShapeOf(absl::string_view id) const {
  if (!Has(id)) {
    const std::vector<std::string> first(ids_.begin(),
                                         ids_.begin() + std::min(kShownIds, ids_.size()));
    return Error(id, absl::StrCat("is not there; it has ", ids_.size(), " ids, such as ",
                                  absl::StrJoin(first, ", ", [](std::string* out, const auto& it) {
                                    out->append(Shown(it));
                                  })));
  }
  absl::StatusOr<std::vector<int64_t>> shape = FullShapeOf(id);
  if (!shape.ok()) return Error(id, shape.status().message());
  // Rows of [1, D] are what models return for one sentence.
  if (shape->size() == 3 && (*shape)[1] == 1) shape->erase(shape->begin() + 1);
  if (shape->size() == 1 && (*shape)[0] > 0) shape->insert(shape->begin(), 1);
  if (std::find(shape->begin(), shape->end(), 0) != shape->end()) return TableShape();
  if (shape->size() == 2) return TableShape{(*shape)[0], (*shape)[1]};
  return Error(
      id,
      absl::StrCat("has shape ", ShapeString(*shape),
                   ", want [utterances, width], or [width] for one utterance; in Python, x.mean("
                   "axis=1) makes one row of the frames of an utterance"));
}

absl::Status ArrayTable::Copy(absl::string_view id, absl::Span<float> out) const {
  ASSIGN_OR_RETURN(const TableShape shape, ShapeOf(id));
  const auto size = static_cast<uint64_t>(shape.rows * shape.width);
  if (out.size() != size) {
    return absl::InternalError(absl::StrCat("room for ", out.size(), " values, want ", size));
  }
  if (size == 0) return absl::OkStatus();
  const absl::Status status = CopyAll(id, out);
  if (!status.ok()) return Error(id, status.message());
  if (AllFinite(out)) return absl::OkStatus();
  return Error(id, absl::StrCat(PlaceOfNonFinite(out, shape.width),
                                ", want a finite number; replace the value in the file"));
}

std::string ArrayTable::Describe(absl::string_view id) const {
  if (!Has(id)) return "nothing";
  const absl::StatusOr<std::string> description = DescribeIt(id);
  return description.ok() ? *description : std::string(description.status().message());
}

}  // namespace cmerc::datasets
