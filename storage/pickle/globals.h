// The globals that a pickle may name although nobody has allowed them (Options::allowed_globals).
#ifndef CMERC_STORAGE_PICKLE_GLOBALS_H_
#define CMERC_STORAGE_PICKLE_GLOBALS_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace cmerc::pickle {

enum class GlobalId : uint32_t {
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
  kFactory,  // a default_factory of a defaultdict; never called
  kAllowed,  // named in Options::allowed_globals
};

struct BuiltinGlobal {
  absl::string_view name;  // as Python 3 and NumPy 1 name it, which is one of several ways
  GlobalId id;
};

// The built-in global of this name, by the names of Python 2 and 3 and of NumPy 1 and 2; nullptr
// for any other.
const BuiltinGlobal* FindBuiltinGlobal(absl::string_view module, absl::string_view name);

}  // namespace cmerc::pickle

#endif  // CMERC_STORAGE_PICKLE_GLOBALS_H_
