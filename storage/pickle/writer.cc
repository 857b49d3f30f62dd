#include "storage/pickle/writer.h"

#include <cstring>
#include <limits>
#include <utility>

namespace cmerc::pickle {
namespace {

template <typename T>
void AppendFixed(T value, std::string* bytes) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  bytes->append(raw, sizeof(T));
}

}  // namespace

Writer::Writer() : bytes_("\x80\x02") {}

void Writer::None() { bytes_ += 'N'; }

void Writer::Bool(bool value) { bytes_ += value ? '\x88' : '\x89'; }

void Writer::Int(int64_t value) {
  if (value >= 0 && value <= std::numeric_limits<uint8_t>::max()) {
    bytes_ += 'K';
    AppendFixed(static_cast<uint8_t>(value), &bytes_);
  } else if (value >= 0 && value <= std::numeric_limits<uint16_t>::max()) {
    bytes_ += 'M';
    AppendFixed(static_cast<uint16_t>(value), &bytes_);
  } else if (value >= std::numeric_limits<int32_t>::min() &&
             value <= std::numeric_limits<int32_t>::max()) {
    bytes_ += 'J';
    AppendFixed(static_cast<int32_t>(value), &bytes_);
  } else {
    bytes_ += "\x8a\x08";  // LONG1
    AppendFixed(value, &bytes_);
  }
}

void Writer::Float(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  bytes_ += 'G';
  AppendFixed(__builtin_bswap64(bits), &bytes_);
}

void Writer::String(absl::string_view utf8) {
  bytes_ += 'X';
  AppendFixed(static_cast<uint32_t>(utf8.size()), &bytes_);
  bytes_.append(utf8.data(), utf8.size());
}

void Writer::EmptyDict() { bytes_ += '}'; }

void Writer::EmptyList() { bytes_ += ']'; }

void Writer::Mark() { bytes_ += '('; }

void Writer::SetItems() { bytes_ += 'u'; }

void Writer::Appends() { bytes_ += 'e'; }

void Writer::Tuple(int n) { bytes_ += n == 0 ? ')' : static_cast<char>(0x84 + n); }

void Writer::TupleFromMark() { bytes_ += 't'; }

void Writer::Global(absl::string_view module, absl::string_view name) {
  bytes_ += 'c';
  bytes_.append(module.data(), module.size());
  bytes_ += '\n';
  bytes_.append(name.data(), name.size());
  bytes_ += '\n';
}

void Writer::Reduce() { bytes_ += 'R'; }

void Writer::Build() { bytes_ += 'b'; }

void Writer::BinPersId() { bytes_ += 'Q'; }

std::string Writer::Finish() && {
  bytes_ += '.';
  return std::move(bytes_);
}

}  // namespace cmerc::pickle
