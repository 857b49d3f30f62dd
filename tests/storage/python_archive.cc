#include "tests/storage/python_archive.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/pickle/writer.h"
#include "tests/storage/zip.h"

namespace cmerc {
namespace {

void WriteTensor(const torch::Tensor& tensor, int64_t record, pickle::Writer& writer) {
  TORCH_CHECK(tensor.scalar_type() == torch::kFloat32 || tensor.scalar_type() == torch::kInt64);
  writer.Global("torch._utils", "_rebuild_tensor_v2");
  writer.Mark();
  writer.Mark();
  writer.String("storage");
  writer.Global("torch", tensor.is_floating_point() ? "FloatStorage" : "LongStorage");
  writer.String(absl::StrCat(record));
  writer.String("cpu");
  writer.Int(tensor.numel());
  writer.TupleFromMark();
  writer.BinPersId();
  writer.Int(0);
  for (const torch::IntArrayRef extents : {tensor.sizes(), tensor.strides()}) {
    writer.Mark();
    for (const int64_t extent : extents) writer.Int(extent);
    writer.TupleFromMark();
  }
  writer.Bool(false);
  writer.EmptyDict();
  writer.TupleFromMark();
  writer.Reduce();
}

void WriteState(const StateDict& state, const std::string& prefix, pickle::Writer& writer) {
  writer.EmptyDict();
  writer.Mark();
  int64_t record = 0;
  for (const auto& [name, tensor] : state) {
    writer.String(prefix + name);
    WriteTensor(tensor, record++, writer);
  }
  writer.SetItems();
}

}  // namespace

std::string PythonArchive(const StateDict& state, const std::vector<std::string>& entries,
                          const std::string& prefix) {
  StateDict contiguous;
  for (const auto& [name, tensor] : state) contiguous[name] = tensor.contiguous();
  pickle::Writer writer;
  if (entries.empty()) {
    WriteState(contiguous, prefix, writer);
  } else {
    writer.EmptyDict();
    writer.Mark();
    writer.String("epoch"), writer.Int(3);
    for (const std::string& entry : entries) {
      writer.String(entry);
      WriteState(contiguous, prefix, writer);
    }
    writer.SetItems();
  }
  std::vector<ZipRecord> records = {{"archive/data.pkl", std::move(writer).Finish()}};
  int64_t record = 0;
  for (const auto& [name, tensor] : contiguous) {
    records.emplace_back(absl::StrCat("archive/data/", record++),
                         std::string(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()));
  }
  return Zip(records, {/*zip64=*/true, ""});
}

}  // namespace cmerc
