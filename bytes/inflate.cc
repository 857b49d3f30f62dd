#include "bytes/inflate.h"

#include <zlib.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "bytes/file_kind.h"
#include "core/status.h"

namespace cmerc {
namespace {

constexpr uint64_t kMostPerByte = 64, kMostBase = uint64_t{16} << 20;
// DEFLATE's own limit is 1032 for each byte.
constexpr uint64_t kMostDeflated = 1040, kDeflatedBase = 64;
constexpr int kAnyWrapping = 15 + 32;  // gzip or zlib, as the first bytes say
constexpr int kNoWrapping = -15;
constexpr size_t kPiece = size_t{1} << 16;
constexpr size_t kMostAtOnce = size_t{1} << 30;

absl::Status HoldsMore(uint64_t most) {
  return absl::InvalidArgumentError(
      absl::StrCat("opens to more than ", most,
                   " bytes, 64 times its own size and 16 MiB; if that is right, "
                   "unpack it first"));
}

absl::Status Truncated() {
  return absl::InvalidArgumentError("is compressed and cut short; copy or download it again");
}

}  // namespace

// zlib's machine, fed and emptied piece by piece.
class Inflater {
 public:
  explicit Inflater(int wrapping) { good_ = inflateInit2(&stream_, wrapping) == Z_OK; }
  ~Inflater() {
    if (good_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Gives it the next bytes, which stay where they are until rest() is empty.
  void Feed(absl::string_view bytes) { rest_ = bytes; }
  absl::string_view rest() const { return rest_; }
  // Whether the last stream has come to its end.
  bool complete() const { return ended_; }

  // Writes up to `room` bytes and returns how many: less only where it needs more bytes, or where a
  // stream is complete and `many` is false. InvalidArgument: what it was fed is damaged.
  absl::StatusOr<size_t> Run(char* out, size_t room, bool many) {
    if (!good_) return absl::ResourceExhaustedError("there is no memory to open it with");
    size_t made = 0;
    while (made < room) {
      if (ended_) {
        if (many) rest_.remove_prefix(std::min(rest_.find_first_not_of('\0'), rest_.size()));
        if (rest_.empty() || !many) break;
        inflateReset(&stream_);
        ended_ = false;
      }
      const auto in_size = static_cast<uInt>(std::min(rest_.size(), kMostAtOnce));
      const auto out_size = static_cast<uInt>(std::min(room - made, kMostAtOnce));
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest_.data()));
      stream_.avail_in = in_size;
      stream_.next_out = reinterpret_cast<Bytef*>(out + made);
      stream_.avail_out = out_size;
      const int result = inflate(&stream_, Z_NO_FLUSH);
      rest_.remove_prefix(in_size - stream_.avail_in);
      made += out_size - stream_.avail_out;
      ended_ = result == Z_STREAM_END;
      if (result == Z_BUF_ERROR) break;  // needs more bytes
      if (result == Z_OK || ended_) continue;
      if (result == Z_MEM_ERROR) {
        return absl::ResourceExhaustedError("there is no memory to open it with");
      }
      return absl::InvalidArgumentError(
          absl::StrCat("is compressed and damaged (",
                       stream_.msg != nullptr ? stream_.msg : "it needs a dictionary",
                       "); copy or download it again"));
    }
    return made;
  }

 private:
  z_stream stream_ = {};
  bool good_;
  bool ended_ = false;
  absl::string_view rest_;
};

uint64_t MostInflated(uint64_t compressed_size) {
  return kMostPerByte * std::min(compressed_size, uint64_t{1} << 48) + kMostBase;
}

absl::StatusOr<std::string> Inflate(absl::string_view file) {
  const uint64_t most = MostInflated(file.size());
  Inflater inflater(kAnyWrapping);
  inflater.Feed(file);
  std::string out;
  for (size_t size = 0;;) {
    // One byte more than is allowed shows that there is more.
    const uint64_t room = std::min<uint64_t>(std::max<uint64_t>(kPiece, size), most - size + 1);
    out.resize(size + room);
    ASSIGN_OR_RETURN(const size_t made, inflater.Run(&out[size], room, IsGzip(file)));
    size += made;
    if (size > most) return HoldsMore(most);
    if (made == room) continue;
    if (!inflater.complete()) return Truncated();
    if (!inflater.rest().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("is compressed, and ", inflater.rest().size(),
                       " bytes of something else follow; copy or download it again"));
    }
    out.resize(size);
    return out;
  }
}

absl::StatusOr<std::string> InflateRaw(absl::string_view deflated, uint64_t size) {
  if (size > kMostDeflated * deflated.size() + kDeflatedBase) {
    return absl::InvalidArgumentError(
        absl::StrCat("claims to hold ", size, " bytes in ", deflated.size(),
                     " compressed ones, which cannot be; copy or download it again"));
  }
  Inflater inflater(kNoWrapping);
  inflater.Feed(deflated);
  std::string out(size + 1, '\0');
  ASSIGN_OR_RETURN(const size_t made, inflater.Run(out.data(), out.size(), /*many=*/false));
  if (made != size || !inflater.complete() || !inflater.rest().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("does not hold the ", size,
                                                   " bytes that it claims; copy or download it "
                                                   "again"));
  }
  out.resize(size);
  return out;
}

std::string InflatedHead(absl::string_view deflated, size_t most) {
  Inflater inflater(kNoWrapping);
  inflater.Feed(deflated);
  std::string out(most, '\0');
  out.resize(inflater.Run(out.data(), most, /*many=*/false).value_or(0));
  return out;
}

InflatingBuffer::InflatingBuffer(std::istream& file, uint64_t size)
    : file_(file),
      most_(MostInflated(size)),
      left_(most_),
      inflater_(std::make_unique<Inflater>(kAnyWrapping)) {}

InflatingBuffer::~InflatingBuffer() = default;

absl::string_view InflatingBuffer::Peek() {
  if (gptr() == egptr() && underflow() == traits_type::eof()) return "";
  return {gptr(), static_cast<size_t>(egptr() - gptr())};
}

InflatingBuffer::int_type InflatingBuffer::underflow() {
  size_t size = 0;
  while (status_.ok()) {
    const absl::StatusOr<size_t> made = inflater_->Run(out_.data(), out_.size(), /*many=*/true);
    status_.Update(made.status());
    size = made.value_or(0);
    if (size > left_) status_ = HoldsMore(most_);
    if (size > 0 || !status_.ok()) break;
    file_.read(in_.data(), in_.size());
    inflater_->Feed({in_.data(), static_cast<size_t>(file_.gcount())});
    if (file_.gcount() > 0) continue;
    if (!file_.eof()) {
      status_ = absl::UnavailableError("cannot be read to its end; is the disk all right?");
    } else if (!inflater_->complete()) {
      status_ = Truncated();
    }
    break;
  }
  if (!status_.ok() || size == 0) return traits_type::eof();
  left_ -= size;
  setg(out_.data(), out_.data(), out_.data() + size);
  return traits_type::to_int_type(out_[0]);
}

}  // namespace cmerc
