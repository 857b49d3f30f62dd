// The values of a tensor of the Open Inference Protocol as bytes: little-endian, row by row; of
// BYTES the length of each text before it, in four bytes.
#ifndef CMERC_SERVING_RAW_TENSOR_H_
#define CMERC_SERVING_RAW_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_field.h"
#include "serving/open_inference.pb.h"

namespace cmerc::serving {

class RawTensor {
 public:
  using Input = inference::ModelInferRequest::InferInputTensor;

  // The tensor whose values are `raw`, which must outlive this. InvalidArgument: a datatype other
  // than BOOL, INT32, INT64, FP32, FP64 and BYTES, a shape that is negative or too large, or bytes
  // that do not fit it.
  static absl::StatusOr<RawTensor> FromRaw(const Input& input, absl::string_view raw);
  // The same from Input::contents, which are copied.
  static absl::StatusOr<RawTensor> FromContents(const Input& input);

  size_t size() const { return size_; }  // values

  // Of INT32 and INT64.
  std::vector<int64_t> Integers() const;
  // Of BOOL; whatever is not 0 is true.
  std::vector<bool> Flags() const;
  // Of BYTES.
  std::vector<std::string> Texts() const;
  // Of FP64.
  std::vector<double> Doubles() const;
  // Of FP32: appends `count` values from the one at `begin` on.
  void AppendFloats(size_t begin, size_t count,
                    google::protobuf::RepeatedField<float>* values) const;

 private:
  absl::string_view bytes() const { return owned_.empty() ? raw_ : absl::string_view(owned_); }

  std::string datatype_;
  size_t size_ = 0;
  absl::string_view raw_;
  std::string owned_;
};

// The number of values of this shape. InvalidArgument: a negative size, or more values than `most`.
absl::StatusOr<size_t> NumValues(const google::protobuf::RepeatedField<int64_t>& shape,
                                 size_t most);

void AppendText(absl::string_view text, std::string* bytes);
void AppendDouble(double value, std::string* bytes);
void AppendFloat(float value, std::string* bytes);
void AppendInt64(int64_t value, std::string* bytes);
void AppendInt32(int32_t value, std::string* bytes);

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_RAW_TENSOR_H_
