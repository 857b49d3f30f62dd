// The header of a .npy file, NumPy's format 1.0 to 3.0.
#ifndef CMERC_BYTES_NPY_H_
#define CMERC_BYTES_NPY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace cmerc {

// What every .npy file begins with.
constexpr char kNpyMagic[] = "\x93NUMPY";

// What a .npy file says of its array.
struct NpyHeader {
  char kind = 0;  // NumPy's: b bool, i int, u unsigned, f float, S bytes, U text, O object, ...
  int64_t item_size = 0;  // bytes per element; for U four bytes per character; 0 for O
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<int64_t> shape;
  int64_t num_elements = 1;  // the product of the shape
  size_t data_begin = 0;     // where the elements begin

  // Returns the array in words: "float32 array of shape [12, 768]".
  std::string Describe() const;
};

// Reads the header that `bytes` begin with; the rest may be missing. InvalidArgument, without the
// file's name: it is none, or cut short; its elements are no simple type (a structured one); its
// size in bytes is 2^62 or more.
absl::StatusOr<NpyHeader> ParseNpyHeader(absl::string_view bytes);

// Returns OK where the elements are numbers. InvalidArgument, without the file's name: they are
// not, and how to make them numbers.
absl::Status CheckNumbers(const NpyHeader& header);

// Copies the elements of a whole .npy file to `out`, which has room for header.num_elements of
// them, in C order, converted as NumPy's astype does. T is float or int64_t. InvalidArgument,
// without the file's name: the elements are no numbers, or not all there, or T is int64_t and one
// is no integer of 64 bits.
template <typename T>
absl::Status CopyNpy(absl::string_view file, const NpyHeader& header, absl::Span<T> out);

}  // namespace cmerc

#endif  // CMERC_BYTES_NPY_H_
