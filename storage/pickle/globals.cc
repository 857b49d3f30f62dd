#include "storage/pickle/globals.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
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
    // What stands for plain data.
    {"numpy.matrix", GlobalId::kArrayClass},
    {"numpy.matrixlib.defmatrix.matrix", GlobalId::kArrayClass},
    {"numpy.memmap", GlobalId::kArrayClass},
    {"numpy.core.memmap.memmap", GlobalId::kArrayClass},
    {"numpy.recarray", GlobalId::kArrayClass},
    {"numpy.rec.recarray", GlobalId::kArrayClass},
    {"numpy.core.records.recarray", GlobalId::kArrayClass},
    {"numpy.chararray", GlobalId::kArrayClass},
    {"numpy.char.chararray", GlobalId::kArrayClass},
    {"numpy.core.defchararray.chararray", GlobalId::kArrayClass},
    {"numpy.ma.core._mareconstruct", GlobalId::kMaskedArray},
    {"collections.Counter", GlobalId::kCounter},
    {"collections.deque", GlobalId::kDeque},
    {"builtins.range", GlobalId::kRange},
    {"builtins.xrange", GlobalId::kRange},
    {"builtins.iter", GlobalId::kIterator},
    {"builtins.getattr", GlobalId::kGetAttr},
    {"copyreg._reconstructor", GlobalId::kReconstructor},
    {"copyreg.__newobj__", GlobalId::kNewObject},
    {"cloudpickle.cloudpickle._make_dict_keys", GlobalId::kListCopy},
    {"cloudpickle.cloudpickle._make_dict_values", GlobalId::kListCopy},
    {"cloudpickle.cloudpickle._make_dict_items", GlobalId::kListCopy},
    {"torch.storage._load_from_bytes", GlobalId::kTorchStorage},
    {"torch._utils._rebuild_tensor", GlobalId::kTorchTensor},
    {"torch._utils._rebuild_tensor_v2", GlobalId::kTorchTensor},
    {"torch._utils._rebuild_parameter", GlobalId::kTorchParameter},
    {"torch._tensor._rebuild_from_type", GlobalId::kTorchSubclass},
    {"torch._tensor._rebuild_from_type_v2", GlobalId::kTorchSubclass},
    {"torch.tensor._rebuild_from_type", GlobalId::kTorchSubclass},
    {"torch.Size", GlobalId::kTorchSize},
    {"torch._utils._rebuild_device_tensor_from_numpy", GlobalId::kWrappedArray},
    {"torch._utils._rebuild_xla_tensor", GlobalId::kWrappedArray},
    {"tensorflow.python.framework.ops.convert_to_tensor", GlobalId::kWrappedArray},
    {"tensorflow.python.framework.ops.convert_to_tensor_v2", GlobalId::kWrappedArray},
    {"tensorflow.python.framework.tensor_conversion.convert_to_tensor_v2", GlobalId::kWrappedArray},
    {"jax._src.array._reconstruct_array", GlobalId::kJaxArray},
    {"jax._src.device_array.reconstruct_device_array", GlobalId::kJaxArray},
    {"pandas.core.indexes.base._new_Index", GlobalId::kPandasIndex},
    {"pandas._libs.arrays.__pyx_unpickle_NDArrayBacked", GlobalId::kPandasBacked},
};

// Modules that data never needs; all of what is in them and below them.
constexpr absl::string_view kHostileModules[] = {
    "_codecs",    "_frozen_importlib",
    "_pickle",    "_posixsubprocess",
    "_winapi",    "aiohttp",
    "asyncio",    "bdb",
    "cPickle",    "cProfile",
    "cffi",       "code",
    "codecs",     "codeop",
    "commands",   "ctypes",
    "dill",       "distutils",
    "doctest",    "fileinput",
    "ftplib",     "gc",
    "http",       "httpx",
    "imp",        "importlib",
    "inspect",    "io",
    "_io",        "linecache",
    "marshal",    "mmap",
    "msvcrt",     "multiprocessing",
    "nt",         "ntpath",
    "os",         "pdb",
    "pickle",     "pip",
    "pkgutil",    "platform",
    "popen2",     "posix",
    "posixpath",  "profile",
    "pty",        "pydoc",
    "requests",   "runpy",
    "setuptools", "shelve",
    "shutil",     "signal",
    "site",       "smtplib",
    "socket",     "sqlite3",
    "ssl",        "subprocess",
    "sys",        "telnetlib",
    "tempfile",   "threading",
    "timeit",     "trace",
    "urllib",     "urllib2",
    "venv",       "webbrowser",
    "winreg",     "xmlrpc",
    "zipimport",
};

// Parts of a longer name that lead to such a module wherever it was imported, and last parts.
constexpr absl::string_view kHostileParts[] = {"os",     "sys",       "subprocess", "posix",
                                               "nt",     "importlib", "ctypes",     "socket",
                                               "shutil", "pty",       "builtins"};
constexpr absl::string_view kHostileLast[] = {"eval",  "exec",          "execfile",   "system",
                                              "popen", "import_module", "read_pickle"};

constexpr absl::string_view kHostileNames[] = {
    "builtins.__import__",      "builtins.apply",   "builtins.breakpoint", "builtins.compile",
    "builtins.delattr",         "builtins.file",    "builtins.getattr",    "builtins.globals",
    "builtins.input",           "builtins.locals",  "builtins.open",       "builtins.raw_input",
    "builtins.reload",          "builtins.setattr", "builtins.vars",       "joblib.load",
    "numpy.fromfile",           "numpy.load",       "numpy.loads",         "numpy.loadtxt",
    "numpy.genfromtxt",         "numpy.save",       "torch.load",          "torch.save",
    "torch.serialization.load", "types.CodeType",   "types.FunctionType",  "types.LambdaType",
    "types.MethodType",         "types.ModuleType",
};

// What is data although its module is none.
constexpr absl::string_view kHarmless[] = {"io.BytesIO",     "_io.BytesIO",
                                           "io.StringIO",    "_io.StringIO",
                                           "_codecs.encode", "copyreg.__newobj_ex__"};

template <size_t n>
bool IsOneOf(absl::string_view text, const absl::string_view (&list)[n]) {
  return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

// Names of Python 2 and those of Python 3.
constexpr std::pair<absl::string_view, absl::string_view> kFormerNames[] = {
    {"UserDict.UserDict", "collections.UserDict"},
    {"UserDict.IterableUserDict", "collections.UserDict"},
    {"UserList.UserList", "collections.UserList"},
    {"itertools.imap", "builtins.map"},
    {"itertools.izip", "builtins.zip"},
    {"itertools.ifilter", "builtins.filter"},
};

}  // namespace

std::string CanonicalName(absl::string_view module, absl::string_view name) {
  absl::string_view rest = module;
  if (module == "__builtin__" || module == "exceptions") return absl::StrCat("builtins.", name);
  if (module == "copy_reg") return absl::StrCat("copyreg.", name);
  if (absl::ConsumePrefix(&rest, "numpy._core.")) {
    return absl::StrCat("numpy.core.", rest, ".", name);
  }
  absl::ConsumePrefix(&rest, "joblib.externals.");
  const std::string full = absl::StrCat(rest, ".", name);
  for (const auto& [former, now] : kFormerNames) {
    if (full == former) return std::string(now);
  }
  return full;
}

const BuiltinGlobal* FindBuiltinGlobal(absl::string_view full_name) {
  for (const BuiltinGlobal& global : kBuiltinGlobals) {
    if (global.name == full_name) return &global;
  }
  return nullptr;
}

bool MayBeHostile(absl::string_view full_name) {
  if (IsOneOf(full_name, kHarmless)) return false;
  if (IsOneOf(full_name, kHostileNames)) return true;
  const std::vector<absl::string_view> parts = absl::StrSplit(full_name, '.');
  if (IsOneOf(parts[0], kHostileModules)) return true;
  for (size_t i = 1; i < parts.size(); ++i) {
    if (IsOneOf(parts[i], kHostileParts)) return true;
    // Attributes that lead from any object to all others.
    if (absl::StartsWith(parts[i], "__") && absl::EndsWith(parts[i], "__")) return true;
  }
  return IsOneOf(parts.back(), kHostileLast);
}

absl::string_view PlainInPython(absl::string_view class_name) {
  const auto within = [&](absl::string_view package) {
    return absl::StartsWith(class_name, package) &&
           (class_name.size() == package.size() || class_name[package.size()] == '.');
  };
  if (within("torch")) return "x.detach().cpu().float().numpy()";
  if (within("numpy.ma")) return "x.filled(0)";
  if (within("scipy.sparse")) return "x.toarray()";
  if (within("cupy")) return "x.get()";
  if (within("pyarrow") || within("polars")) return "x.to_numpy()";
  if (within("pandas._libs") || class_name == "pandas.Timestamp" || class_name == "pandas.Period" ||
      class_name == "pandas.Timedelta" || class_name == "pandas.Interval") {
    return "str(x)";
  }
  if (within("pandas")) return "x.to_numpy()";
  if (within("decimal") || within("fractions")) return "float(x)";
  if (within("datetime") || within("uuid") || within("pathlib")) return "str(x)";
  if (class_name == "builtins.complex") return "x.real";
  if (within("builtins") || within("collections")) return "list(x)";
  return "";
}

}  // namespace cmerc::pickle
