// The stack machine whose programs pickles are.
#ifndef CMERC_STORAGE_PICKLE_MACHINE_H_
#define CMERC_STORAGE_PICKLE_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/pickle/arena.h"
#include "storage/pickle/globals.h"
#include "storage/pickle/pickle.h"

namespace cmerc::pickle {

// Runs one pickle, once. After the first error (Fail) every step goes on with harmless stand-ins
// until the loop sees the error, so that no opcode needs a check after each operand.
class Machine {
 public:
  // All of these outlive the machine; `arena` and `bytes` outlive the values. Memory and steps are
  // measured by `file_size`.
  Machine(absl::string_view bytes, absl::string_view name, const Options& options,
          uint64_t file_size, Arena* arena);

  // Runs the program and returns the object that it leaves. InvalidArgument: "NAME: byte N:
  // message".
  absl::StatusOr<const Value*> Run();

  // After Run(): the byte behind the STOP opcode.
  uint64_t position() const { return position_; }

 private:
  static constexpr size_t kMostAxes = 32;  // NumPy 1's limit

  // Does what one opcode says.
  void Step(uint8_t opcode);

  // Records the first error, at the current opcode or at `offset`.
  void Fail(absl::string_view message) { FailAt(opcode_offset_, message); }
  void FailAt(uint64_t offset, absl::string_view message);

  // Operands of the current opcode. Where too few bytes are left they Fail and give empty or zero.
  absl::string_view Bytes(uint64_t size);
  absl::string_view Line();  // without its newline
  int64_t LineInt();         // the index of PUT and GET
  template <typename T>
  T Fixed();

  void CheckMemory();
  // Whether copies that stand for objects may take so many bytes more.
  bool HasRoom(uint64_t bytes) const;
  // Counts steps that a file can ask for again and again over the same bytes. Returns false and
  // Fails when they are more than a file of this size may take.
  bool Spend(uint64_t steps);

  // What follows makes simple objects and keeps the stack and the memo.
  Value* New(Kind kind);
  void Push(Value* value) { stack_.push_back(value); }
  Value* Pop();
  Value* Top();
  // Removes the last mark and returns where the objects above it begin; they are still on the
  // stack.
  size_t PopMark();
  Value* Below(size_t begin);     // the container that stack_[begin, end) is for
  Value* NewTuple(size_t begin);  // a tuple of stack_[begin, end), which is popped

  void PushInt(int64_t value);
  void PushBool(bool value);
  void PushFloat(double value);
  void PushText(Kind kind, Value::Encoding encoding, absl::string_view text);
  void PushOwnedText(Value::Encoding encoding, absl::string_view text);  // copies the text
  void PushLong(absl::string_view little_endian);
  void ParseInt(absl::string_view line);
  void ParseLong(absl::string_view line);
  void ParseFloat(absl::string_view line);

  void Put(uint64_t index, Value* value);
  void PushMemo(int64_t index);

  // What follows makes containers: machine_objects.cc.
  void Append(Value* list, const Value* const* items, size_t n);
  // Adds an entry or overwrites it; `value` is nullptr for a set.
  void Insert(Value* container, Value* key, const Value* value);
  // Whether items go to `container`: an object of an unknown class becomes a container of `kind`
  // with its first items, and what another does with them is not known. Anything else Fails with
  // its kind between `before` and `after`.
  bool Receives(Value* container, Kind kind, absl::string_view before, absl::string_view after);
  bool CheckKey(Value* key, size_t longest_text, bool tuple_allowed);
  void SetItems(size_t begin);
  void AddItems(size_t begin, Value* set);
  void GrowTable(Value::Mapping* mapping);

  // Decodes what is not decoded yet.
  void Settle(Value* text);
  void SettleAll();
  // The text of a str or bytes; anything else Fails and gives "".
  absl::string_view TextOf(const Value* value, absl::string_view what);
  // The bytes that a bytes, a Python 2 str or a latin-1 text holds.
  absl::string_view RawBytes(const Value* value, absl::string_view what);

  // What follows names and calls globals, which executes nothing: machine_calls.cc. A Make function
  // returns nullptr for arguments that it cannot read.
  void PushGlobal(absl::string_view module, absl::string_view name);
  // `construct`: by NEWOBJ, so that the arguments are a class's, not a function's.
  void Call(Value* callable, Value* args, bool construct = false);
  void CallWithKeywords(Value* callable, Value* args, const Value& keywords);
  Value* Make(Value* callable, const Value* args);       // plain data
  Value* MakePlain(Value* callable, const Value* args);  // what stands for it
  Value* MakeSet(absl::Span<const Value* const> args);
  Value* MakeDict(absl::Span<const Value* const> args);
  Value* MakeBytes(const Value* of);
  Value* MakeOfBase(const Value* args);
  Value* MakeObject(const Value* callable, const Value* args);
  Value* MakeNew(Value* callable, const Value* args);  // NEWOBJ of an unknown class
  // A list or tuple of the objects of a list or tuple.
  Value* Share(Kind kind, const Value& of);
  // Remembers which class a value stands for, and returns it.
  Value* WithClass(Value* value, const Value* class_of, const Value* args);
  void Build(Value* object, Value* state);
  // Turns an object with its state into what it stands for, if that is known.
  void Interpret(Value* object);
  static GlobalId IdOf(const Value& global);

  // What follows makes NumPy's objects: machine_numpy.cc.
  Value* MakeDType(absl::Span<const Value* const> args);
  void BuildDType(Value* dtype, const Value* state);
  Value* MakeArray(absl::Span<const Value* const> args);
  Value* MakeArrayFromBuffer(absl::Span<const Value* const> args);
  void BuildArray(Value* array, const Value* state);
  bool SetShape(const Value* shape, Value::Array* array);
  void CheckDataSize(const Value::Array& array);
  Value* MakeScalar(absl::Span<const Value* const> args);
  void BuildMaskedArray(Value* object, const Value* state);

  // What follows makes arrays of other things: machine_arrays.cc.
  Value* NewArray(const Value::Array& array);
  void BecomeArray(Value* object, const Value::Array& array, absl::string_view class_name);
  // The elements of `base`, an array of one axis in C order, from `offset` on by these steps. A
  // copy only where it must be one; nullptr where they lie outside or there is no room.
  Value* MakeStrided(const Value::Array& base, int64_t offset, absl::Span<const int64_t> shape,
                     absl::Span<const int64_t> strides, absl::string_view class_name);
  // Replaces elements of a type that no processor has by float32 or float64, if there is room.
  void Widen(Value::Array* array);
  Value* MakeRange(absl::Span<const Value* const> args);

  // What follows makes torch's tensors: machine_torch.cc.
  Value* MakeTorchStorage(absl::Span<const Value* const> args);
  Value* MakeTorchTensor(absl::Span<const Value* const> args);

  // What follows makes pandas' objects: machine_pandas.cc.
  Value* MakePandasIndex(absl::Span<const Value* const> args);
  void InterpretPandas(Value* object);
  void InterpretSeries(Value* object, const Value& manager);
  void InterpretFrame(Value* object, const Value& manager);
  void InterpretCategorical(Value* object, const Value& codes, const Value* dtype);

  // Makes `object`, which is kept by whatever refers to it, what `value` is.
  static void Become(Value* object, const Value& value);
  // Kinds are checked at run time, constness is not: values are the machine's own until Run ends.
  static Value* Mutable(const Value* value) { return const_cast<Value*>(value); }

  const absl::string_view bytes_;
  const absl::string_view name_;
  const Options& options_;
  const uint64_t file_size_;
  Arena* const arena_;

  absl::Status status_;
  uint64_t position_ = 0;
  uint64_t opcode_offset_ = 0;
  uint64_t steps_ = 0;  // that Spend() has counted

  std::vector<Value*> stack_;
  std::vector<size_t> marks_;
  // Picklers count up from 0 or 1; an index far off goes to the sparse memo.
  std::vector<Value*> memo_;
  absl::flat_hash_map<uint64_t, Value*> sparse_memo_;
  uint64_t memo_size_ = 0;

  std::vector<std::pair<Value*, size_t>> value_chunks_;
  size_t values_left_ = 0;                                       // in the last chunk
  absl::flat_hash_set<absl::string_view> names_;                 // of unknown globals
  absl::flat_hash_map<const Value*, absl::string_view> latin1_;  // decoded by RawBytes
  // Of a container or array that stands for an object of another class: that class, and the
  // arguments it was made with.
  absl::flat_hash_map<const Value*, std::pair<const Value*, const Value*>> classes_;
  Value stand_in_;  // a None
};

}  // namespace cmerc::pickle

#endif  // CMERC_STORAGE_PICKLE_MACHINE_H_
