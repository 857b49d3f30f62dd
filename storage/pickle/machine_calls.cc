// Globals, and what is made of calls without calling anything.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "storage/pickle/machine.h"
#include "storage/pickle/value_data.h"

namespace cmerc::pickle {
namespace {

constexpr size_t kLongestName = 1024;  // of a global, with its module

bool IsPlainData(GlobalId id) { return id <= GlobalId::kFactory; }

// Whether a name is one that Python gives: letters, digits, underscores, and dots between them.
bool IsName(absl::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '.' || static_cast<uint8_t>(c) >= 0x80;
  });
}

bool IsListOrTuple(const Value& value) {
  return value.kind() == Kind::kList || value.kind() == Kind::kTuple;
}

}  // namespace

GlobalId Machine::IdOf(const Value& global) {
  return global.kind_ == Kind::kGlobal ? static_cast<GlobalId>(global.data_.global.id)
                                       : GlobalId::kUnknown;
}

void Machine::PushGlobal(absl::string_view module, absl::string_view name) {
  if (module.size() + name.size() > kLongestName) {
    Fail(absl::StrCat("a global's name of more than ", kLongestName, " bytes is not supported"));
  }
  if (!status_.ok() || !Spend(module.size() + name.size())) return Push(&stand_in_);
  Value* global = New(Kind::kGlobal);
  const auto push = [&](absl::string_view full, GlobalId id) {
    global->data_.global = {full.data(), static_cast<uint32_t>(full.size()),
                            static_cast<uint32_t>(id)};
    Push(global);
  };
  const std::string full = CanonicalName(module, name);
  const BuiltinGlobal* builtin = FindBuiltinGlobal(full);
  if (builtin != nullptr && IsPlainData(builtin->id)) return push(builtin->name, builtin->id);
  const bool allowed = options_.allowed_globals.count(full) > 0;
  if (!allowed && builtin != nullptr && !options_.refuse_unknown) {
    return push(builtin->name, builtin->id);
  }
  if (!allowed && (options_.refuse_unknown || MayBeHostile(full))) {
    std::string expected = MayBeHostile(full) ? ": the file may be hostile" : "";
    absl::StrAppend(&expected,
                    "; expected only NumPy arrays, scalars and dtypes, sets, bytes, "
                    "OrderedDict and defaultdict");
    if (!options_.allowed_globals.empty()) {
      absl::StrAppend(&expected, ", ", absl::StrJoin(options_.allowed_globals, ", "));
    }
    Fail(absl::StrCat("global ", absl::CHexEscape(full.substr(0, 200)), " is not allowed",
                      expected));
    return Push(&stand_in_);
  }
  if (!allowed && !IsName(full)) {
    const bool text_mode = absl::StrContains(full, "\r");
    Fail(absl::StrCat(
        "'", absl::CHexEscape(full.substr(0, 200)), "' is no name of a global: the file is damaged",
        text_mode ? ", as by a copy in text mode; copy it again in binary mode" : ""));
    return Push(&stand_in_);
  }
  auto kept = names_.find(full);
  if (kept == names_.end()) {
    char* copy = arena_->New<char>(full.size());
    std::copy(full.begin(), full.end(), copy);
    kept = names_.insert({copy, full.size()}).first;
  }
  push(*kept, allowed ? GlobalId::kAllowed : GlobalId::kUnknown);
}

void Machine::Call(Value* callable, Value* args, bool construct) {
  Push(&stand_in_);  // the result, until there is one
  if (!status_.ok()) return;
  const bool of_object = callable->kind_ == Kind::kObject && !options_.refuse_unknown;
  if (callable->kind_ != Kind::kGlobal && !of_object) {
    return Fail(absl::StrCat("a ", KindName(callable->kind_),
                             " is called: the file is damaged or may be hostile"));
  }
  if (args->kind_ != Kind::kTuple) {
    return Fail(absl::StrCat("expected a tuple of arguments for ", callable->global_name(),
                             ", got ", KindName(args->kind_)));
  }
  const GlobalId id = IdOf(*callable);
  Value* result = nullptr;
  if (id == GlobalId::kUnknown && construct) {
    result = MakeNew(callable, args);
  } else if (IsPlainData(id)) {
    result = Make(callable, args);
  } else {
    result = MakePlain(callable, args);
  }
  if (result == nullptr) {
    const bool array = id == GlobalId::kReconstruct || id == GlobalId::kFromBuffer ||
                       id == GlobalId::kScalar || id == GlobalId::kDType;
    if (IsPlainData(id) && !(array && !options_.refuse_unknown)) {
      return Fail(absl::StrCat("a call of ", callable->global_name(),
                               " with these arguments is not supported"));
    }
    result = MakeObject(callable, args);
  }
  if (status_.ok()) stack_.back() = result;
}

void Machine::CallWithKeywords(Value* callable, Value* args, const Value& keywords) {
  if (keywords.kind_ == Kind::kDict && keywords.keys().empty()) return Call(callable, args, true);
  if (options_.refuse_unknown || callable->kind_ != Kind::kGlobal) {
    return Fail("a call with keyword arguments is not supported");
  }
  Push(MakeObject(callable, args));
}

Value* Machine::Make(Value* callable, const Value* args) {
  const absl::Span<const Value* const> items = args->items();
  switch (IdOf(*callable)) {
    case GlobalId::kReconstruct:
      return MakeArray(items);
    case GlobalId::kFromBuffer:
      return MakeArrayFromBuffer(items);
    case GlobalId::kScalar:
      return MakeScalar(items);
    case GlobalId::kDType:
      return MakeDType(items);
    case GlobalId::kSet:
    case GlobalId::kFrozenSet:
      return MakeSet(items);
    case GlobalId::kOrderedDict:
      return MakeDict(items);
    case GlobalId::kDefaultDict:  // its argument is the default_factory
      return items.size() <= 1 ? New(Kind::kDict) : nullptr;
    case GlobalId::kEncode: {
      // What Python 3 writes for bytes below protocol 3.
      if (items.size() != 2) return nullptr;
      const absl::string_view encoding = TextOf(items[1], "an encoding");
      if (encoding != "latin1" && encoding != "latin-1") return nullptr;
      return MakeBytes(items[0]);
    }
    case GlobalId::kBytes:
    case GlobalId::kByteArray:
      // (), (bytes) or (text, "latin-1")
      if (items.size() > 2) return nullptr;
      return items.empty() ? New(Kind::kBytes) : MakeBytes(items[0]);
    case GlobalId::kFactory: {
      if (items.size() != 1) return nullptr;
      const absl::string_view name = callable->global_name();
      if (name == "builtins.dict") return MakeDict(items);
      if (!IsListOrTuple(*items[0])) return nullptr;
      if (name == "builtins.list") return Share(Kind::kList, *items[0]);
      return name == "builtins.tuple" ? Share(Kind::kTuple, *items[0]) : nullptr;
    }
    default:
      return nullptr;
  }
}

Value* Machine::MakePlain(Value* callable, const Value* args) {
  const absl::Span<const Value* const> items = args->items();
  const auto is = [&](size_t i, Kind kind) { return items.size() > i && items[i]->kind_ == kind; };
  switch (IdOf(*callable)) {
    case GlobalId::kCounter:
      return MakeDict(items);
    case GlobalId::kDeque:
      if (items.empty()) return WithClass(New(Kind::kList), callable, args);
      if (!IsListOrTuple(*items[0])) return nullptr;
      return WithClass(Share(Kind::kList, *items[0]), callable, args);
    case GlobalId::kIterator:
      if (items.size() != 1 || !IsListOrTuple(*items[0])) return nullptr;
      return WithClass(Share(Kind::kList, *items[0]), callable, args);
    case GlobalId::kListCopy:
      return is(0, Kind::kList) || is(0, Kind::kDict) ? Mutable(items[0]) : nullptr;
    case GlobalId::kRange:
      return MakeRange(items);
    case GlobalId::kGetAttr:
      // A class within a class, or a member of an Enum.
      if (items.size() == 2 && is(0, Kind::kGlobal) && is(1, Kind::kString) &&
          !absl::StartsWith(TextOf(items[1], "a name"), "__")) {
        return nullptr;
      }
      Fail("global builtins.getattr is not allowed: the file may be hostile");
      return nullptr;
    case GlobalId::kReconstructor:
      return MakeOfBase(args);
    case GlobalId::kNewObject: {
      if (!is(0, Kind::kGlobal) || IdOf(*items[0]) != GlobalId::kUnknown) return nullptr;
      Value* rest = New(Kind::kTuple);
      const auto n = static_cast<uint32_t>(items.size() - 1);
      rest->data_.sequence = {args->data_.sequence.items + 1, n, n};
      return MakeNew(Mutable(items[0]), rest);
    }
    case GlobalId::kTorchStorage:
      return MakeTorchStorage(items);
    case GlobalId::kTorchTensor:
      return MakeTorchTensor(items);
    case GlobalId::kTorchSubclass:  // (the function of the base class, class, arguments, state)
      return is(0, Kind::kGlobal) && IdOf(*items[0]) == GlobalId::kTorchTensor &&
                     is(2, Kind::kTuple)
                 ? MakeTorchTensor(items[2]->items())
                 : nullptr;
    case GlobalId::kTorchSize:
      return items.size() == 1 && IsListOrTuple(*items[0]) ? Share(Kind::kTuple, *items[0])
                                                           : nullptr;
    case GlobalId::kTorchParameter:
    case GlobalId::kWrappedArray:
      return is(0, Kind::kArray) ? Mutable(items[0]) : nullptr;
    case GlobalId::kJaxArray: {  // (_reconstruct, its arguments, the array's state, ...)
      if (!is(0, Kind::kGlobal) || IdOf(*items[0]) != GlobalId::kReconstruct ||
          !is(1, Kind::kTuple) || !is(2, Kind::kTuple)) {
        return nullptr;
      }
      Value* array = MakeArray(items[1]->items());
      if (array != nullptr) BuildArray(array, items[2]);
      return array;
    }
    case GlobalId::kPandasIndex:
      return MakePandasIndex(items);
    default:
      return nullptr;
  }
}

Value* Machine::MakeBytes(const Value* of) {
  const absl::string_view raw = RawBytes(of, "bytes");
  Value* result = New(Kind::kBytes);
  result->data_.text = {raw.data(), raw.size()};
  return result;
}

Value* Machine::MakeSet(absl::Span<const Value* const> args) {
  if (args.size() > 1) return nullptr;
  Value* set = New(Kind::kSet);
  if (args.empty()) return set;
  if (!IsListOrTuple(*args[0]) && args[0]->kind_ != Kind::kSet) return nullptr;
  if (!Spend(args[0]->items().size())) return set;
  for (const Value* item : args[0]->items()) {
    Insert(set, Mutable(item), nullptr);
    if (!status_.ok()) break;
  }
  return set;
}

Value* Machine::MakeDict(absl::Span<const Value* const> args) {
  if (args.size() > 1) return nullptr;
  Value* dict = New(Kind::kDict);
  if (args.empty()) return dict;
  if (args[0]->kind_ == Kind::kDict) {
    if (!Spend(args[0]->keys().size())) return dict;
    for (size_t i = 0; i < args[0]->keys().size() && status_.ok(); ++i) {
      Insert(dict, Mutable(args[0]->keys()[i]), args[0]->values()[i]);
    }
    return dict;
  }
  if (!IsListOrTuple(*args[0])) return nullptr;
  if (!Spend(args[0]->items().size())) return dict;
  for (const Value* item : args[0]->items()) {
    if (!IsListOrTuple(*item) || item->items().size() != 2) return nullptr;
    Insert(dict, Mutable(item->items()[0]), item->items()[1]);
    if (!status_.ok()) break;
  }
  return dict;
}

Value* Machine::Share(Kind kind, const Value& of) {
  Value* result = New(kind);
  const uint32_t size = of.data_.sequence.size;
  // Without spare room: what is appended goes elsewhere.
  result->data_.sequence = {of.data_.sequence.items, size, size};
  return result;
}

// (class, its base among Python's own, what the base is made of): protocols 0 and 1.
Value* Machine::MakeOfBase(const Value* args) {
  const absl::Span<const Value* const> items = args->items();
  if (items.size() != 3 || items[0]->kind_ != Kind::kGlobal) return nullptr;
  const absl::string_view base = items[1]->global_name();
  const Kind kind = items[2]->kind_;
  if (base == "builtins.tuple" && kind == Kind::kTuple) {
    return WithClass(Share(kind, *items[2]), items[0], items[2]);
  }
  if (base == "builtins.list" && kind == Kind::kList) {
    return WithClass(Share(kind, *items[2]), items[0], args);
  }
  if (base == "builtins.dict" && kind == Kind::kDict) {
    Value* dict = New(kind);
    dict->data_.mapping = items[2]->data_.mapping;
    return dict;
  }
  const bool text = base == "builtins.str" || base == "builtins.unicode";
  const bool number = base == "builtins.int" || base == "builtins.long" || base == "builtins.float";
  if ((text && kind == Kind::kString) ||
      (number && (kind == Kind::kInt || kind == Kind::kFloat || kind == Kind::kBigInt))) {
    return Mutable(items[2]);
  }
  return nullptr;
}

Value* Machine::WithClass(Value* value, const Value* class_of, const Value* args) {
  classes_[value] = {class_of, args};
  return value;
}

Value* Machine::MakeObject(const Value* callable, const Value* args) {
  // The result of a result is named by the global that all began with.
  if (callable->kind_ == Kind::kObject) callable = callable->data_.call->callable;
  Value* object = New(Kind::kObject);
  object->data_.call = arena_->New<Value::Call>();
  *object->data_.call = {callable, args, nullptr};
  return object;
}

Value* Machine::MakeNew(Value* callable, const Value* args) {
  // A named tuple is made of its fields, a class that is derived from str, int or float of one
  // value. So is no other class of data that has no state beside (Build()).
  const absl::Span<const Value* const> items = args->items();
  if (items.size() >= 2) return WithClass(Share(Kind::kTuple, *args), callable, args);
  const Kind kind = items.empty() ? Kind::kNone : items[0]->kind_;
  if (kind != Kind::kString && kind != Kind::kInt && kind != Kind::kFloat) {
    return MakeObject(callable, args);
  }
  Value* copy = New(kind);
  copy->data_ = items[0]->data_;
  copy->encoding_ = items[0]->encoding_;
  return WithClass(copy, callable, args);
}

bool Machine::Receives(Value* container, Kind kind, absl::string_view before,
                       absl::string_view after) {
  if (container->kind_ == kind) return true;
  if (container->kind_ != Kind::kObject || options_.refuse_unknown) {
    Fail(absl::StrCat(before, KindName(container->kind_), after));
    return false;
  }
  const Value::Call& call = *container->data_.call;
  // What a class makes of items beside arguments or a state is not known.
  if (call.state != nullptr || !call.args->items().empty()) return false;
  classes_[container] = {call.callable, call.args};
  container->kind_ = kind;
  std::memset(static_cast<void*>(&container->data_), 0, sizeof(container->data_));
  return true;
}

void Machine::Build(Value* object, Value* state) {
  switch (object->kind_) {
    case Kind::kArray:
      return BuildArray(object, state);
    case Kind::kDType:
      return BuildDType(object, state);
    case Kind::kObject:
      object->data_.call->state = state;
      if (!options_.refuse_unknown) Interpret(object);
      return;
    case Kind::kDict:  // attributes of an OrderedDict, such as the _metadata of a state_dict
      return;
    default:
      break;
  }
  const auto found = classes_.find(object);
  if (found == classes_.end()) {
    return Fail(absl::StrCat("the state of a ", KindName(object->kind_), " is not supported"));
  }
  const auto [class_of, args] = found->second;
  if (object->kind_ != Kind::kList) {
    // Not what it is made of alone after all.
    object->kind_ = Kind::kObject;
    object->encoding_ = Value::Encoding::kReady;
    object->data_.call = arena_->New<Value::Call>();
    *object->data_.call = {class_of, args, state};
  } else if (IdOf(*class_of) == GlobalId::kIterator && state->kind_ == Kind::kInt) {
    Value::Sequence& left = object->data_.sequence;  // from this position on
    const auto begin = static_cast<uint32_t>(
        std::clamp<int64_t>(state->int_value(), 0, static_cast<int64_t>(left.size)));
    left = {left.items + begin, left.size - begin, left.size - begin};
  }
}

void Machine::Interpret(Value* object) {
  const Value::Call& call = *object->data_.call;
  if (IdOf(*call.callable) == GlobalId::kMaskedArray) return BuildMaskedArray(object, call.state);
  const absl::string_view name = object->class_name();
  if (absl::StartsWith(name, "pandas.")) return InterpretPandas(object);
  if (name == "collections.UserDict" || name == "collections.UserList") {
    const Value* data = call.state->Find("data");
    if (data == nullptr || (data->kind_ != Kind::kDict && data->kind_ != Kind::kList)) return;
    Become(object, *data);
    if (data->kind_ == Kind::kList) object->data_.sequence.capacity = data->data_.sequence.size;
  }
}

}  // namespace cmerc::pickle
