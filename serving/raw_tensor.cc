#include "serving/raw_tensor.h"

#include <cstring>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status.h"

// The protocol's bytes are little-endian, and numbers are copied as they lie in memory.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "wants a little-endian processor");

namespace cmerc::serving {
namespace {

constexpr size_t kLengthBytes = 4;

// Bytes of a value; 0 for BYTES; nullopt-like -1 for a datatype that is not taken.
int BytesOf(absl::string_view datatype) {
  if (datatype == "BOOL") return 1;
  if (datatype == "INT32" || datatype == "FP32") return 4;
  if (datatype == "INT64" || datatype == "FP64") return 8;
  return datatype == "BYTES" ? 0 : -1;
}

uint32_t LengthAt(absl::string_view bytes) {
  uint32_t length;
  std::memcpy(&length, bytes.data(), sizeof(length));
  return length;
}

// InvalidArgument: `bytes` are not `count` texts with their lengths.
absl::Status CheckTexts(absl::string_view bytes, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (bytes.size() < kLengthBytes) {
      return absl::InvalidArgumentError(absl::StrCat("ends before text ", i, " of ", count));
    }
    const uint32_t length = LengthAt(bytes);
    bytes.remove_prefix(kLengthBytes);
    if (length > bytes.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "has a text ", i, " of ", length, " bytes, but only ", bytes.size(), " bytes are left"));
    }
    bytes.remove_prefix(length);
  }
  if (bytes.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("has ", bytes.size(), " bytes behind the last of its ", count, " texts"));
}

template <typename T>
void Append(T value, std::string* bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  char copy[sizeof(T)];
  std::memcpy(copy, &value, sizeof(T));
  bytes->append(copy, sizeof(T));
}

template <typename T, typename Out = T>
std::vector<Out> Values(absl::string_view bytes) {
  std::vector<Out> values(bytes.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = value;
  }
  return values;
}

template <typename Repeated>
std::string Packed(const Repeated& values) {
  std::string bytes;
  for (const auto value : values) Append(value, &bytes);
  return bytes;
}

// The bytes of the field of `contents` that belongs to the datatype.
std::string BytesOfContents(const RawTensor::Input& input) {
  const inference::InferTensorContents& contents = input.contents();
  std::string bytes;
  if (input.datatype() == "BOOL") {
    for (const bool value : contents.bool_contents()) bytes.push_back(value ? 1 : 0);
  } else if (input.datatype() == "INT32") {
    bytes = Packed(contents.int_contents());
  } else if (input.datatype() == "INT64") {
    bytes = Packed(contents.int64_contents());
  } else if (input.datatype() == "FP32") {
    bytes = Packed(contents.fp32_contents());
  } else if (input.datatype() == "FP64") {
    bytes = Packed(contents.fp64_contents());
  } else {
    for (const std::string& text : contents.bytes_contents()) AppendText(text, &bytes);
  }
  return bytes;
}

}  // namespace

absl::StatusOr<size_t> NumValues(const google::protobuf::RepeatedField<int64_t>& shape,
                                 size_t most) {
  size_t product = 1;
  for (const int64_t size : shape) {
    if (size < 0 || (size > 0 && product > most / static_cast<size_t>(size))) {
      return absl::InvalidArgumentError(absl::StrCat("has the shape [", absl::StrJoin(shape, ", "),
                                                     "], want sizes from 0 whose product is at "
                                                     "most ",
                                                     most));
    }
    product *= static_cast<size_t>(size);
  }
  return product;
}

absl::StatusOr<RawTensor> RawTensor::FromRaw(const Input& input, absl::string_view raw) {
  RawTensor tensor;
  tensor.datatype_ = input.datatype();
  tensor.raw_ = raw;
  const int width = BytesOf(input.datatype());
  if (width < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("has the datatype ", input.datatype().substr(0, 40),
                     ", want BOOL, INT32, INT64, FP32, FP64 or BYTES"));
  }
  // Every value has a byte at least, a text its length.
  ASSIGN_OR_RETURN(tensor.size_, NumValues(input.shape(), size_t{1} << 40));
  if (width == 0) {
    RETURN_IF_ERROR(CheckTexts(raw, tensor.size_));
  } else if (tensor.size_ * static_cast<size_t>(width) != raw.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "has ", raw.size(), " bytes of values, but its shape [", absl::StrJoin(input.shape(), ", "),
        "] of ", input.datatype(), " takes ", tensor.size_ * static_cast<size_t>(width)));
  }
  return tensor;
}

absl::StatusOr<RawTensor> RawTensor::FromContents(const Input& input) {
  const std::string bytes = BytesOf(input.datatype()) < 0 ? "" : BytesOfContents(input);
  ASSIGN_OR_RETURN(RawTensor tensor, FromRaw(input, bytes));
  tensor.raw_ = {};
  tensor.owned_ = bytes;
  return tensor;
}

std::vector<int64_t> RawTensor::Integers() const {
  return datatype_ == "INT32" ? Values<int32_t, int64_t>(bytes()) : Values<int64_t>(bytes());
}

std::vector<bool> RawTensor::Flags() const {
  std::vector<bool> flags;
  for (const char value : bytes()) flags.push_back(value != 0);
  return flags;
}

std::vector<std::string> RawTensor::Texts() const {
  std::vector<std::string> texts;
  absl::string_view rest = bytes();
  for (size_t i = 0; i < size_; ++i) {
    const uint32_t length = LengthAt(rest);
    texts.emplace_back(rest.substr(kLengthBytes, length));
    rest.remove_prefix(kLengthBytes + length);
  }
  return texts;
}

std::vector<double> RawTensor::Doubles() const { return Values<double>(bytes()); }

void RawTensor::AppendFloats(size_t begin, size_t count,
                             google::protobuf::RepeatedField<float>* values) const {
  const int old_size = values->size();
  values->Resize(old_size + static_cast<int>(count), 0);
  std::memcpy(values->mutable_data() + old_size, bytes().data() + begin * sizeof(float),
              count * sizeof(float));
}

void AppendText(absl::string_view text, std::string* bytes) {
  Append(static_cast<uint32_t>(text.size()), bytes);
  absl::StrAppend(bytes, text);
}

void AppendDouble(double value, std::string* bytes) { Append(value, bytes); }
void AppendFloat(float value, std::string* bytes) { Append(value, bytes); }
void AppendInt64(int64_t value, std::string* bytes) { Append(value, bytes); }
void AppendInt32(int32_t value, std::string* bytes) { Append(value, bytes); }

}  // namespace cmerc::serving
