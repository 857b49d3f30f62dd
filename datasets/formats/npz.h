// Writes NumPy's .npz: a zip archive (not compressed; ZIP64 where needed) of .npy arrays, which
// numpy.load() reads without pickles. Equal calls give equal bytes.
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

  // Each adds an array `name`. InvalidArgument: the name is not of letters, digits, "_", "-" and
  // "." alone, or is taken. Errors of the sink are passed on.
  //
  // Adds float32 of this shape, in C order. `give` is called twice; it hands over the values in
  // pieces, the same ones each time.
  absl::Status AddFloats(const std::string& name, const std::vector<int64_t>& shape,
                         absl::FunctionRef<void(TakeFloats take)> give);
  // Adds int64, one axis.
  absl::Status AddIntegers(const std::string& name, const std::vector<int64_t>& values);
  // Adds Unicode, one axis. InvalidArgument, too: a value is not UTF-8.
  absl::Status AddStrings(const std::string& name, const std::vector<std::string>& values);

  // Writes the directory, without which the file is not whole. Nothing is added afterwards.
  absl::Status Finish();

 private:
  struct Entry {
    std::string name;
    uint32_t crc = 0;
    uint64_t size = 0;
    uint64_t begin = 0;  // where the local header is
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
