// The globals that a pickle may name although nobody has allowed them (Options::allowed_globals),
// and those that no data needs.
#ifndef CMERC_STORAGE_PICKLE_GLOBALS_H_
#define CMERC_STORAGE_PICKLE_GLOBALS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace cmerc::pickle {

enum class GlobalId : uint32_t {
  // Plain data, in every file.
  kNdarray,
  kReconstruct,
  kFromBuffer,
  kScalar,
  kDType,
  kEncode,
  kBytes,
  kByteArray,
  kSet,
  kFrozenSet,
  kOrderedDict,
  kDefaultDict,
  kFactory,  // a default_factory of a defaultdict
  // What stands for plain data, unless Options::refuse_unknown.
  kArrayClass,   // a subclass of numpy.ndarray that only behaves otherwise
  kMaskedArray,  // numpy.ma.core._mareconstruct
  kCounter,
  kDeque,
  kRange,
  kIterator,
  kReconstructor,  // copyreg._reconstructor
  kNewObject,      // copyreg.__newobj__
  kListCopy,       // a function that gives its list or dict again: cloudpickle's, of views of dicts
  kGetAttr,
  kTorchStorage,
  kTorchTensor,
  kTorchParameter,
  kTorchSubclass,
  kTorchSize,
  kWrappedArray,  // a function of TensorFlow or PyTorch that is given an array
  kJaxArray,
  kPandasIndex,
  kPandasBacked,  // an array of pandas around one of NumPy
  // Others.
  kAllowed,  // named in Options::allowed_globals
  kUnknown,
};

struct BuiltinGlobal {
  absl::string_view name;  // as Python 3 and NumPy 1 name it, which is one of several ways
  GlobalId id;
};

// The full name of a global as Python 3 and NumPy 1 have it, of the names that Python 2 (and Python
// 3 below protocol 3), NumPy 2 and joblib give it.
std::string CanonicalName(absl::string_view module, absl::string_view name);

// The built-in global of this canonical name; nullptr for any other.
const BuiltinGlobal* FindBuiltinGlobal(absl::string_view full_name);

// Whether a global, by its canonical name, is one that runs, loads or opens something and that no
// data needs (os.system, builtins.eval): a file that names it was made to harm, or is no data.
bool MayBeHostile(absl::string_view full_name);

// The expression of Python that turns an object `x` of a class into plain numbers or texts; empty
// for a class that is not known at all.
absl::string_view PlainInPython(absl::string_view class_name);

}  // namespace cmerc::pickle

#endif  // CMERC_STORAGE_PICKLE_GLOBALS_H_
