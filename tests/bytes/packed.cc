#include "tests/bytes/packed.h"

#include <zlib.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "bytes/little_endian.h"

namespace cmerc {
namespace {

// `wrapping` as deflateInit2() takes it.
std::string Compress(absl::string_view bytes, int wrapping) {
  z_stream stream = {};
  if (deflateInit2(&stream, 9, Z_DEFLATED, wrapping, 9, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = bytes.size();
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = out.size();
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

std::string Gzip(absl::string_view bytes) { return Compress(bytes, 15 + 16); }
std::string Zlib(absl::string_view bytes) { return Compress(bytes, 15); }
std::string Deflate(absl::string_view bytes) { return Compress(bytes, -15); }

std::string Npy(absl::string_view descr, absl::string_view shape, absl::string_view elements,
                bool fortran_order) {
  const std::string header =
      absl::StrCat("{'descr': '", descr, "', 'fortran_order': ", fortran_order ? "True" : "False",
                   ", 'shape': ", shape, ", }\n");
  std::string npy("\x93NUMPY\x01\x00", 8);
  AppendLittleEndian(header.size(), 2, &npy);
  return absl::StrCat(npy, header, elements);
}

}  // namespace cmerc
