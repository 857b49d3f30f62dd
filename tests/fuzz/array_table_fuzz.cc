// Tables of arrays by id (datasets/tables/array_table): pickles, .npz and folders of .npy files.
//
//   tests/fuzz/run.sh array_table -max_total_time=300
//
// The first byte says what the rest is: a .npy file that is put into an .npz as it is ('0') or
// deflated ('1') or into a folder ('2'); otherwise the whole input is the file.
//
// Laws: an error is InvalidArgument and names the file, or the folder; memory is bounded by the
// size of the file, and by MostInflated() of it where it is compressed; an array that is accepted
// has the shape that was said, and finite values.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bytes/inflate.h"
#include "datasets/tables/array_table.h"
#include "tests/bytes/packed.h"
#include "tests/fuzz/law.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/zip_repair.h"
#include "tests/storage/zip.h"

namespace cmerc::fuzz {
namespace {

using datasets::ArrayTable;
using datasets::TableShape;

std::string DeflatedNpz(const std::string& npy) {
  const std::string stored = Zip({{"x.npy", npy}});
  uint32_t crc;
  std::memcpy(&crc, stored.data() + 14, sizeof(crc));
  return Zip({ZipRecord("x.npy", Deflate(npy)).WithMethod(8).WithSize(npy.size()).WithCrc(crc)});
}

void CheckTable(const std::string& path, size_t size) {
  const PeakMemory memory;
  const auto table = ArrayTable::Open(path);
  if (!table.ok()) {
    memory.CheckAtMost(size, 400, size_t{4} << 20);
    return CheckError(table.status(), absl::StrCat(path, ":"));
  }
  size_t values = 0;
  for (const std::string& id : (*table)->ids()) {
    Law((*table)->Has(id), "what is listed is there", id);
    (*table)->Describe(id);
    const absl::StatusOr<TableShape> shape = (*table)->ShapeOf(id);
    if (!shape.ok()) {
      CheckError(shape.status(), absl::StrCat(path, ": '"));
      continue;
    }
    Law(shape->rows >= 0 && shape->width >= 0, "shapes are sizes");
    if (shape->rows * shape->width > static_cast<int64_t>(16 * size + (4 << 20))) continue;
    std::vector<float> room(shape->rows * shape->width, NAN);
    const absl::Status status = (*table)->Copy(id, absl::MakeSpan(room));
    if (!status.ok()) {
      CheckError(status, absl::StrCat(path, ": '"));
      continue;
    }
    values += room.size();
    for (const float value : room) Law(std::isfinite(value), "values are finite", id);
  }
  Law(values * sizeof(float) <= 64 * size + (size_t{1} << 20), "values are bounded by the file");
  memory.CheckAtMost(size, 600, size_t{4} << 20);
}

}  // namespace

void Run(std::string input) {
  static auto* file = new MemoryFile;
  const char mode = input.empty() ? '\0' : input[0];
  if (mode == '2') {
    static const std::string folder = TemporaryPath("folder");
    std::filesystem::create_directory(folder);
    std::ofstream(folder + "/x.npy", std::ios::binary) << input.substr(1);
    return CheckTable(folder, input.size());
  }
  if (mode == '0') input = Zip({{"x.npy", input.substr(1)}});
  if (mode == '1') input = DeflatedNpz(input.substr(1));
  file->Write(input);
  const bool compressed = mode == '1' || !absl::StartsWith(input, "\x80");
  CheckTable(file->path(), compressed ? MostInflated(input.size()) : input.size());
}

}  // namespace cmerc::fuzz
