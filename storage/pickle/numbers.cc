// Numbers of arrays and nested lists, converted and in C order.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bytes/array_elements.h"
#include "core/status.h"
#include "storage/pickle/pickle.h"
#include "storage/pickle/value_data.h"

namespace cmerc::pickle {
namespace {

constexpr int kDeepestList = 8;

bool IsNumeric(const DType& dtype) {
  const bool number =
      dtype.kind == 'b' || dtype.kind == 'i' || dtype.kind == 'u' || dtype.kind == 'f';
  return number && dtype.item_size <= 8;
}

// Whether `value` holds what it holds by other objects: lists, tuples, arrays of objects with at
// least one axis (so that every level of them takes an axis, and cycles end).
bool HoldsItems(const Value& value) {
  return value.kind() == Kind::kList || value.kind() == Kind::kTuple ||
         (value.kind() == Kind::kArray && value.dtype().kind == 'O' && !value.shape().empty());
}

// The lengths of the axes that `value` has itself; `length` is a list's only one.
absl::Span<const int64_t> OwnShape(const Value& value, int64_t* length) {
  if (value.kind() != Kind::kList && value.kind() != Kind::kTuple) return value.shape();
  *length = static_cast<int64_t>(value.items().size());
  return absl::MakeConstSpan(length, 1);
}

}  // namespace

template <typename T>
absl::Status Value::CopyTo(absl::Span<T> out) const {
  const DType type = dtype();
  if (kind_ != Kind::kArray || !IsNumeric(type)) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected numbers, got ", Describe(*this), HowToConvert(*this)));
  }
  if (static_cast<int64_t>(out.size()) != num_elements()) {
    return absl::InvalidArgumentError(
        absl::StrCat("room for ", out.size(), " numbers, got ", Describe(*this)));
  }
  const ArrayElements elements = {type.kind,       type.item_size, type.big_endian,
                                  fortran_order(), shape(),        raw_data().data()};
  if (!CopyElements(elements, out.data())) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected integers of 64 bits, got others in a ", Describe(*this)));
  }
  return absl::OkStatus();
}

template absl::Status Value::CopyTo<float>(absl::Span<float>) const;
template absl::Status Value::CopyTo<double>(absl::Span<double>) const;
template absl::Status Value::CopyTo<int64_t>(absl::Span<int64_t>) const;

absl::Status Document::CheckShape(const Value& value, absl::Span<const int64_t> shape,
                                  int64_t* visits_left) const {
  const bool items = HoldsItems(value);
  const bool numbers = value.kind() == Kind::kBool || value.kind() == Kind::kInt ||
                       value.kind() == Kind::kFloat ||
                       (value.kind() == Kind::kArray && IsNumeric(value.dtype()));
  if (!items && !numbers) {
    return Error(value, absl::StrCat("expected a number, a numeric array or a list of these, got ",
                                     Describe(value), HowToConvert(value)));
  }
  *visits_left -= items ? 1 : std::max<int64_t>(1, value.num_elements());
  if (*visits_left < 0) return Error(value, "more numbers than a file of this size may hold");
  int64_t length;
  const absl::Span<const int64_t> own = OwnShape(value, &length);
  if (own != (items ? shape.subspan(0, own.size()) : shape)) {
    return Error(value, absl::StrCat("expected numbers of shape [", absl::StrJoin(shape, ", "),
                                     "] as in the first row, got ", Describe(value)));
  }
  for (const Value* item : value.items()) {
    RETURN_IF_ERROR(CheckShape(*item, shape.subspan(own.size()), visits_left));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> Document::NumbersShape(const Value& value) const {
  std::vector<int64_t> shape;
  const Value* first = &value;
  for (int depth = 0;; ++depth) {
    int64_t length;
    const absl::Span<const int64_t> own = OwnShape(*first, &length);
    shape.insert(shape.end(), own.begin(), own.end());
    if (!HoldsItems(*first) || first->items().empty()) break;
    if (depth == kDeepestList) {
      return Error(value, absl::StrCat("expected numbers, got lists nested more than ",
                                       kDeepestList, " deep"));
    }
    first = first->items()[0];
  }
  int64_t visits_left = static_cast<int64_t>(pickle_size_) + (int64_t{1} << 24);
  RETURN_IF_ERROR(CheckShape(value, shape, &visits_left));
  return shape;
}

template <typename T>
absl::Status Document::CopyRows(const Value& value, absl::Span<T>* out) const {
  bool good = true;
  if (HoldsItems(value)) {
    for (const Value* item : value.items()) {
      RETURN_IF_ERROR(CopyRows(*item, out));
    }
    return absl::OkStatus();
  }
  switch (value.kind()) {
    case Kind::kArray: {
      absl::Status status = value.CopyTo(out->subspan(0, value.num_elements()));
      if (!status.ok()) return Error(value, status.message());
      out->remove_prefix(value.num_elements());
      return absl::OkStatus();
    }
    case Kind::kFloat:
      good = ConvertNumber(value.float_value(), out->data());
      break;
    default:
      good = ConvertNumber(
          value.kind() == Kind::kBool ? int64_t{value.bool_value()} : value.int_value(),
          out->data());
  }
  if (!good) return Error(value, absl::StrCat("expected an integer, got ", Describe(value)));
  out->remove_prefix(1);
  return absl::OkStatus();
}

template <typename T>
absl::Status Document::CopyNumbers(const Value& value, absl::Span<T> out) const {
  ASSIGN_OR_RETURN(std::vector<int64_t> shape, NumbersShape(value));
  const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  int64_t size = empty ? 0 : 1;  // no overflow: NumbersShape has counted the elements
  for (const int64_t length : shape) size *= empty ? 0 : length;
  if (static_cast<int64_t>(out.size()) != size) {
    return Error(value, absl::StrCat("room for ", out.size(), " numbers, got shape [",
                                     absl::StrJoin(shape, ", "), "]"));
  }
  return CopyRows(value, &out);
}

template absl::Status Document::CopyNumbers<float>(const Value&, absl::Span<float>) const;
template absl::Status Document::CopyNumbers<double>(const Value&, absl::Span<double>) const;
template absl::Status Document::CopyNumbers<int64_t>(const Value&, absl::Span<int64_t>) const;

}  // namespace cmerc::pickle
