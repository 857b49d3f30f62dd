// What gzip, zlib and zip have compressed (RFC 1950 to 1952), opened within limits: a small file
// that claims or makes gigabytes is an error.
#ifndef CMERC_BYTES_INFLATE_H_
#define CMERC_BYTES_INFLATE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <memory>
#include <streambuf>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

// Returns how many bytes a compressed file of this size may hold: 64 for each of its own and 16
// MiB.
uint64_t MostInflated(uint64_t compressed_size);

// Returns what a gzip or zlib file holds. InvalidArgument, without the file's name: it is damaged,
// cut short, followed by something else, or holds more than MostInflated() allows.
absl::StatusOr<std::string> Inflate(absl::string_view file);

// Returns the `size` bytes that a record of a zip archive was made of. InvalidArgument, without the
// record's name: it is damaged, or holds more or less; `size` is not checked against any limit but
// that no deflated bytes hold as many.
absl::StatusOr<std::string> InflateRaw(absl::string_view deflated, uint64_t size);

// Returns up to `most` first bytes of what InflateRaw() returns; less where it is damaged.
std::string InflatedHead(absl::string_view deflated, size_t most);

class Inflater;

// Gives a stream the contents of a gzip or zlib file piece by piece, as the file is read.
class InflatingBuffer : public std::streambuf {
 public:
  // `file`, of `size` bytes, stands at its first one and must outlive this. It may hold
  // MostInflated() of them.
  InflatingBuffer(std::istream& file, uint64_t size);
  ~InflatingBuffer() override;
  InflatingBuffer(const InflatingBuffer&) = delete;
  InflatingBuffer& operator=(const InflatingBuffer&) = delete;

  // Returns what can be read without reading on, at least a byte; empty at the end and after an
  // error.
  absl::string_view Peek();

  // Why the contents ended: OK at the end of the file, else an error of Inflate(), or Unavailable:
  // the file cannot be read on.
  const absl::Status& status() const { return status_; }

 protected:
  int_type underflow() override;

 private:
  std::istream& file_;
  const uint64_t most_;
  uint64_t left_;
  std::unique_ptr<Inflater> inflater_;
  absl::Status status_;
  std::array<char, 1 << 16> in_;
  std::array<char, 1 << 16> out_;
};

}  // namespace cmerc

#endif  // CMERC_BYTES_INFLATE_H_
