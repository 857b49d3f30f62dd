// What a Value of a compound kind points to, and how keys compare.
#ifndef CMERC_STORAGE_PICKLE_VALUE_DATA_H_
#define CMERC_STORAGE_PICKLE_VALUE_DATA_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "storage/pickle/pickle.h"

namespace cmerc::pickle {

// The entries of a dict or set in the order of insertion, as Python's dict has them. Up to
// kMaxLinear entries are found by looking at each, more by `table`, which has open addressing and
// linear probing: the index of an entry plus 1, or 0 where there is none.
struct Value::Mapping {
  static constexpr uint32_t kMaxLinear = 8;

  const Value** keys;
  const Value** values;  // nullptr for a set
  uint32_t size;
  uint32_t capacity;
  uint32_t* table;      // nullptr while size <= kMaxLinear
  uint32_t table_size;  // a power of two

  // The index of the entry, or -1 when there is none.
  int64_t Find(const Value& key) const;
};

struct Value::Array {
  DType dtype;
  const int64_t* shape;
  uint32_t num_axes;
  bool fortran_order;
  int64_t num_elements;
  const char* data;
  uint64_t data_size;
  const Value** items;           // num_elements of them, for dtype O
  absl::string_view class_name;  // empty for numpy.ndarray
};

// A hash and the equality of keys (None, numbers, texts and tuples of these) with Python's meaning
// of ==: 1 == 1.0 == True. Of other objects each is equal to itself alone.
uint64_t HashKey(const Value& key);
bool SameKey(const Value& a, const Value& b);

}  // namespace cmerc::pickle

#endif  // CMERC_STORAGE_PICKLE_VALUE_DATA_H_
