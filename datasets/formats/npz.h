// NumPy's .npz: a zip archive (not compressed; ZIP64 where needed) of .npy arrays, that numpy.load
// reads without pickles. Equal calls give equal bytes.
#ifndef CMERC_DATASETS_FORMATS_NPZ_H_
#define CMERC_DATASETS_FORMATS_NPZ_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace cmerc {

class NpzWriter {
 public:
  // Takes the bytes of the file, piece by piece.
  using Sink = std::function<absl::Status(absl::string_view bytes)>;
  using TakeFloats = absl::FunctionRef<void(absl::Span<const float> values)>;

  explicit NpzWriter(Sink sink) : sink_(std::move(sink)) {}

  // Each adds an array `name`: letters, digits, "_", "-" and "." alone, no name twice;
  // InvalidArgument otherwise. Else the errors of the sink.
  //
  // float32 of this shape, in C order. `give` is called twice and hands over the values, in pieces.
  absl::Status AddFloats(const std::string& name, const std::vector<int64_t>& shape,
                         absl::FunctionRef<void(TakeFloats take)> give);
  // int64, one axis.
  absl::Status AddIntegers(const std::string& name, const std::vector<int64_t>& values);
  // Unicode, one axis. `values` are UTF-8.
  absl::Status AddStrings(const std::string& name, const std::vector<std::string>& values);

  // The file is not whole without it. Nothing is added afterwards.
  absl::Status Finish();

 private:
  struct Entry {
    std::string name;
    uint32_t crc = 0;
    uint64_t size = 0;
    uint64_t begin = 0;  // of the local header
  };
  using TakeBytes = absl::FunctionRef<void(absl::string_view bytes)>;

  absl::Status Add(const std::string& name, absl::string_view type,
                   const std::vector<int64_t>& shape, absl::FunctionRef<void(TakeBytes take)> give);
  absl::Status Write(absl::string_view bytes);

  const Sink sink_;
  uint64_t position_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_NPZ_H_
