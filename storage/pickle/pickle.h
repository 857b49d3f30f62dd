// Reads Python pickles (protocols 0 to 5, of Python 2 and 3) without executing anything. Data and
// NumPy arrays are read, and so is, from its state, what is one of these in disguise: torch's
// tensors, pandas' series, frames and indices, ranges, named tuples, ... An object of any other
// class is kept as what the file says of it (kObject), so that it matters only to a reader who
// needs its value. What no data names (os.system) is an error, so a hostile file can do no more
// than fail to load. Opcodes as in CPython's Lib/pickletools.py, the layout of NumPy's states as in
// its array_setstate and arraydescr_setstate.
#ifndef CMERC_STORAGE_PICKLE_PICKLE_H_
#define CMERC_STORAGE_PICKLE_PICKLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace cmerc::pickle {

class Machine;

enum class Kind : uint8_t {
  kNone,
  kBool,
  kInt,           // also a NumPy integer scalar
  kBigInt,        // an integer beyond 64 bits; bytes() is little-endian two's complement
  kFloat,         // also a NumPy floating scalar
  kString,        // UTF-8; Python 2's str too, decoded as latin-1
  kBytes,         // bytes and bytearray
  kList,          // list, deque, other classes made of one
  kTuple,         // tuple, namedtuple
  kSet,           // set and frozenset
  kDict,          // dict, OrderedDict, defaultdict, Counter, other classes made of one
  kArray,         // numpy.ndarray, and what class_name() says
  kDType,         // numpy.dtype
  kGlobal,        // a global itself, for example torch.FloatStorage
  kObject,        // the call of a global that is no built-in one, not executed
  kPersistentId,  // what the pickler replaced by an identifier
};

// "list", "str", ...: Python's word for it.
absl::string_view KindName(Kind kind);

struct DType {
  // NumPy's: b bool, i int, u unsigned, f float, S bytes, U str, O object; and of elements that
  // cannot be read: c complex, M date, m time, V records and types that are not NumPy's.
  char kind;
  bool big_endian;
  int64_t item_size;  // bytes per element; for U four bytes per character
};

// One Python object. Objects that the pickle shares are one Value with several references, and a
// list or dict may contain itself. Values belong to their Document and never change.
//
// An accessor that is not for the value's kind gives zero, empty or nullptr.
class Value {
 public:
  Kind kind() const { return kind_; }
  // Byte of the file at which the object's opcode starts.
  uint64_t offset() const { return offset_; }

  bool is_none() const { return kind_ == Kind::kNone; }
  bool bool_value() const { return kind_ == Kind::kBool && data_.integer != 0; }
  int64_t int_value() const { return kind_ == Kind::kInt ? data_.integer : 0; }  // kInt
  double float_value() const { return kind_ == Kind::kFloat ? data_.real : 0; }  // kFloat
  absl::string_view string() const;                                              // kString
  absl::string_view bytes() const;                                               // kBytes, kBigInt
  // kGlobal: "torch.FloatStorage"; kObject: the name of the global that is called.
  absl::string_view global_name() const;
  // kObject: the class, "decimal.Decimal", or the function that makes it where the file says no
  // more. kArray: the class that it stood for, "pandas.core.series.Series"; empty for an ndarray.
  absl::string_view class_name() const;

  // kList, kTuple, kSet (in the order of the file), and kArray of dtype O (in C order).
  absl::Span<const Value* const> items() const;

  // kDict: parallel, in insertion order; no key occurs twice.
  absl::Span<const Value* const> keys() const;
  absl::Span<const Value* const> values() const;
  // kDict: the value of a key, nullptr when there is none.
  const Value* Find(absl::string_view key) const;
  const Value* Find(int64_t key) const;

  DType dtype() const;                      // kArray, kDType
  absl::Span<const int64_t> shape() const;  // kArray; empty for a 0-d array
  int64_t num_elements() const;             // kArray: the product of the shape
  bool fortran_order() const;               // kArray: the first axis varies fastest in raw_data()
  absl::string_view raw_data() const;  // kArray: as in the file, not aligned; empty for dtype O

  // kArray: the elements, contiguous in C order, rounded to T as NumPy's astype does. Float, double
  // and int64_t. InvalidArgument (without file or offset: see Document::CopyNumbers): dtype is not
  // a number or bool; `out` is not of num_elements(); T is int64_t and an element is not an integer
  // of 64 bits.
  template <typename T>
  absl::Status CopyTo(absl::Span<T> out) const;

  // kObject: the arguments of the call, a tuple.
  const Value* args() const;
  // kObject: what BUILD gave it, else nullptr.
  const Value* state() const;
  // kPersistentId: the identifier.
  const Value* persistent_id() const;

 private:
  friend class Machine;

  struct Text {
    const char* data;
    uint64_t size;
  };
  struct Sequence {
    const Value** items;
    uint32_t size;
    uint32_t capacity;
  };
  struct Mapping;  // set and dict
  struct Global {
    const char* name;
    uint32_t size;
    uint32_t id;  // GlobalId
  };
  struct Array;
  struct Call {
    const Value* callable;
    const Value* args;
    const Value* state;
  };
  union Data {
    int64_t integer;
    double real;
    Text text;
    Sequence sequence;
    Mapping* mapping;  // nullptr while empty
    Array* array;      // nullptr for what numpy.core.multiarray._reconstruct gives: no elements
    Global global;
    DType dtype;
    Call* call;
    const Value* id;
  };
  // Text is decoded only when it is needed as text: most of it is the data of arrays.
  enum class Encoding : uint8_t { kReady, kUtf8, kLatin1 };

  uint64_t offset_ : 48;
  Kind kind_ : 8;
  Encoding encoding_ : 8;
  Data data_;
};

struct Options {
  // Globals of which a kObject is made although they are built in or, with refuse_unknown, unknown
  // ("torch._utils._rebuild_tensor_v2").
  std::set<std::string> allowed_globals;
  // Whether a file may hold nothing but data, NumPy's arrays, scalars and dtypes, set, frozenset,
  // bytes, bytearray, OrderedDict, defaultdict and allowed_globals: for readers that need all they
  // are given.
  bool refuse_unknown = false;
  // Whether the file may hold persistent ids, which are an error otherwise.
  bool allow_persistent_ids = false;
};

// A pickle file and every object in it. Immutable, so it may be read from several threads.
class Document {
 public:
  // Reads `path` into memory, where it is a file of gzip or zlib what that holds. NotFound: no such
  // file. InvalidArgument: not a regular file, or not a pickle that may be read; the message starts
  // with "PATH: byte N: ", or says what else the file is. ResourceExhausted: the file does not fit
  // into the memory.
  static absl::StatusOr<std::unique_ptr<Document>> Open(const std::string& path,
                                                        const Options& options = {});
  // Reads a pickle that is in memory; `name` takes the place of the path in messages. Errors are
  // those of Open().
  static absl::StatusOr<std::unique_ptr<Document>> Parse(std::string bytes, std::string name,
                                                         const Options& options = {});

  ~Document();
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  const Value& root() const { return *root_; }
  const std::string& name() const { return name_; }
  // Bytes of the pickle up to and including STOP; a file may hold more after it.
  uint64_t pickle_size() const { return pickle_size_; }
  // What memory is measured by: the bytes of the pickle, or, where it was compressed and that is
  // less, those of the file and 256 KiB.
  uint64_t measured_size() const;
  // Bytes allocated for objects, beyond the file itself. At most 64 per byte of measured_size() + 1
  // MiB: a file that needs more is an error.
  uint64_t memory_used() const;

  // The InvalidArgument "NAME: byte OFFSET: message" of this value.
  absl::Status Error(const Value& value, absl::string_view message) const;

  // The reads below answer a value of another kind with an Error that says what it is.

  // kInt, kBool, or an integer or bool array of one element.
  absl::StatusOr<int64_t> Int(const Value& value) const;
  // kFloat, kInt, kBool, or a numeric array of one element.
  absl::StatusOr<double> Number(const Value& value) const;
  // kString, or kBytes as they are.
  absl::StatusOr<absl::string_view> Text(const Value& value) const;
  // kList, kTuple, kSet, or a 1-d kArray of dtype O.
  absl::StatusOr<absl::Span<const Value* const>> Sequence(const Value& value) const;
  // A sequence of texts, or a 1-d array of dtype S, U or O. Also an error: more than 64 bytes of
  // text per byte of measured_size() + 1 MiB, which only a list that repeats its texts can hold.
  absl::StatusOr<std::vector<std::string>> Texts(const Value& value) const;

  // Shape of numpy.array(value) for a number, a numeric array, or lists and tuples of these, nested
  // at most 8 deep. Error: ragged (names the first row that differs), something that is not a
  // number, or more than pickle_size() + 2^24 elements.
  absl::StatusOr<std::vector<int64_t>> NumbersShape(const Value& value) const;
  // The numbers of such a value, contiguous in C order; `out` has the product of NumbersShape()
  // elements. T and errors as in Value::CopyTo.
  template <typename T>
  absl::Status CopyNumbers(const Value& value, absl::Span<T> out) const;

 private:
  class Storage;  // the bytes of the pickle and the memory of the objects

  Document(std::string name, std::unique_ptr<Storage> storage);
  absl::Status Run(const Options& options);
  // Every list visited and every number counts as a visit, so that shared rows cannot take forever.
  absl::Status CheckShape(const Value& value, absl::Span<const int64_t> shape,
                          int64_t* visits_left) const;
  // `value` has passed CheckShape; *out loses what has been written.
  template <typename T>
  absl::Status CopyRows(const Value& value, absl::Span<T>* out) const;

  const std::string name_;
  std::unique_ptr<Storage> storage_;
  const Value* root_ = nullptr;
  uint64_t pickle_size_ = 0;
};

// A short description for messages: "str 'Ses01F'", "list of 12", "float32 array of shape [110,
// 1024]", "object of class decimal.Decimal".
std::string Describe(const Value& value);

// What to do about a value that is of an unknown class, or an array of what is no number: "; make
// it plain in Python, x = numpy.asarray(x), and dump the file again (docs/your_own_data.md)". Empty
// for any other value. To be put behind a message that has Describe() of it.
std::string HowToConvert(const Value& value);

}  // namespace cmerc::pickle

#endif  // CMERC_STORAGE_PICKLE_PICKLE_H_
