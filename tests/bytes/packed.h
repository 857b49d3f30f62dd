// Files that tests make: compressed ones, and NumPy's arrays.
#ifndef CMERC_TESTS_BYTES_PACKED_H_
#define CMERC_TESTS_BYTES_PACKED_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace cmerc {

// What gzip, zlib, and DEFLATE alone make of `bytes`.
std::string Gzip(absl::string_view bytes);
std::string Zlib(absl::string_view bytes);
std::string Deflate(absl::string_view bytes);

// The bytes of numbers, as this machine has them.
template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A .npy file of format 1.0: `shape` as Python writes it, "(3, 2)", and the elements.
std::string Npy(absl::string_view descr, absl::string_view shape, absl::string_view elements,
                bool fortran_order = false);

}  // namespace cmerc

#endif  // CMERC_TESTS_BYTES_PACKED_H_
