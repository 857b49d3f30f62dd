// Writes Python pickles, protocol 2: every Python from 2.3 on, and torch.load(weights_only=True),
// read them.
#ifndef CMERC_STORAGE_PICKLE_WRITER_H_
#define CMERC_STORAGE_PICKLE_WRITER_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace cmerc::pickle {

// Each call appends to the program of a stack machine, so containers are written inside out:
//
//   Writer w;                      // {"a": (1, 2.5)}
//   w.EmptyDict();
//   w.Mark();
//   w.String("a"), w.Int(1), w.Float(2.5), w.Tuple(2);
//   w.SetItems();
//   std::string bytes = std::move(w).Finish();
//
// It is the caller's duty that exactly one object is left at Finish(). Objects are not shared:
// there is no memo.
class Writer {
 public:
  Writer();

  void None();
  void Bool(bool value);
  void Int(int64_t value);
  void Float(double value);
  void String(absl::string_view utf8);  // at most 2^32 - 1 bytes

  void EmptyDict();
  void EmptyList();
  void Mark();
  // Puts everything since the last Mark, key value key value ..., into the dict below the mark.
  void SetItems();
  // Puts everything since the last Mark into the list below the mark.
  void Appends();
  // Makes a tuple of the last n objects, n in 0..3. A longer one takes Mark, its objects,
  // TupleFromMark.
  void Tuple(int n);
  void TupleFromMark();

  // A global by its module and name, neither of which holds a newline.
  void Global(absl::string_view module, absl::string_view name);
  // (callable, tuple of arguments) becomes the call's result.
  void Reduce();
  // (object, state) becomes the object with its state set.
  void Build();
  // The last object becomes the persistent object that it identifies.
  void BinPersId();

  std::string Finish() &&;

 private:
  std::string bytes_;
};

}  // namespace cmerc::pickle

#endif  // CMERC_STORAGE_PICKLE_WRITER_H_
