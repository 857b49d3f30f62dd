#include "storage/pickle/globals.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace cmerc::pickle {
namespace {

constexpr BuiltinGlobal kBuiltinGlobals[] = {
    {"numpy.ndarray", GlobalId::kNdarray},
    {"numpy.core.multiarray._reconstruct", GlobalId::kReconstruct},
    {"numpy.core.numeric._frombuffer", GlobalId::kFromBuffer},
    {"numpy.core.multiarray.scalar", GlobalId::kScalar},
    {"numpy.dtype", GlobalId::kDType},
    {"_codecs.encode", GlobalId::kEncode},
    {"builtins.bytes", GlobalId::kBytes},
    {"builtins.bytearray", GlobalId::kByteArray},
    {"builtins.set", GlobalId::kSet},
    {"builtins.frozenset", GlobalId::kFrozenSet},
    {"collections.OrderedDict", GlobalId::kOrderedDict},
    {"collections.defaultdict", GlobalId::kDefaultDict},
    {"builtins.list", GlobalId::kFactory},
    {"builtins.dict", GlobalId::kFactory},
    {"builtins.tuple", GlobalId::kFactory},
    {"builtins.int", GlobalId::kFactory},
    {"builtins.long", GlobalId::kFactory},
    {"builtins.float", GlobalId::kFactory},
    {"builtins.bool", GlobalId::kFactory},
    {"builtins.str", GlobalId::kFactory},
    {"builtins.unicode", GlobalId::kFactory},
};

}  // namespace

const BuiltinGlobal* FindBuiltinGlobal(absl::string_view module, absl::string_view name) {
  std::string full;
  absl::string_view rest = module;
  if (module == "__builtin__") {
    full = "builtins";
  } else if (absl::ConsumePrefix(&rest, "numpy._core.")) {
    full = absl::StrCat("numpy.core.", rest);
  } else {
    full = std::string(module);
  }
  absl::StrAppend(&full, ".", name);
  for (const BuiltinGlobal& global : kBuiltinGlobals) {
    if (global.name == full) return &global;
  }
  return nullptr;
}

}  // namespace cmerc::pickle
