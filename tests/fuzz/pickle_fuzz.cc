// The unpickler (storage/pickle/), in the two forms that it is used in: as checkpoints are read,
// with persistent ids and torch's globals and nothing unknown, and as data are, with objects of any
// class.
//
//   tests/fuzz/run.sh pickle -max_total_time=300
//
// Laws: an error is InvalidArgument and names file and byte; memory_used() is within the bound that
// pickle.h states, and so is what operator new hands out; every object can be read through every
// accessor and described; what storage/pickle/writer.h can write is read again as equal.
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "storage/pickle/pickle.h"
#include "storage/pickle/writer.h"
#include "tests/fuzz/law.h"

namespace cmerc::fuzz {
namespace {

using pickle::Document;
using pickle::Kind;
using pickle::Value;

// Limits for one input: each conversion is linear in the file.
constexpr int kMostConversions = 16;
constexpr int64_t kMostNumbers = int64_t{1} << 16;
constexpr int kMostWritten = 2000;
constexpr int kDeepestWritten = 50;

const pickle::Options& CheckpointOptions() {
  static const auto* options =
      new pickle::Options{{"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
                           "torch.FloatStorage", "torch.LongStorage"},
                          true,
                          true};
  return *options;
}

const pickle::Options& DataOptions() {
  static const auto* options = new pickle::Options;
  return *options;
}

template <typename T>
void Convert(const Document& document, const Value& value, int64_t size) {
  std::vector<T> numbers(size);
  const absl::Status copied = document.CopyNumbers(value, absl::MakeSpan(numbers));
  if (!copied.ok()) CheckError(copied, "fuzz: byte ");
}

// Reads every object, each once.
void Walk(const Document& document) {
  std::unordered_set<const Value*> seen;
  std::vector<const Value*> todo = {&document.root()};
  int conversions_left = kMostConversions;
  while (!todo.empty()) {
    const Value* value = todo.back();
    todo.pop_back();
    if (value == nullptr || !seen.insert(value).second) continue;
    Law(!Describe(*value).empty(), "every object can be described");
    Law(HowToConvert(*value).empty() || value->kind() == Kind::kObject ||
            value->kind() == Kind::kArray,
        "what is plain needs no conversion");
    Law(value->keys().size() == value->values().size(), "every key has its value");
    todo.insert(todo.end(), value->items().begin(), value->items().end());
    todo.insert(todo.end(), value->keys().begin(), value->keys().end());
    todo.insert(todo.end(), value->values().begin(), value->values().end());
    todo.insert(todo.end(), {value->args(), value->state(), value->persistent_id()});
    uint64_t sum = 0;
    for (const absl::string_view text : {value->string(), value->bytes(), value->global_name(),
                                         value->class_name(), value->raw_data()}) {
      for (const char c : text) sum += static_cast<uint8_t>(c);
    }
    Law(sum <= std::numeric_limits<uint64_t>::max() / 2, "text is readable");
    if (value->kind() == Kind::kDict && !value->keys().empty()) {
      const Value& key = *value->keys().back();
      if (key.kind() == Kind::kString) {
        Law(value->Find(key.string()) == value->values().back(), "a key finds its value");
      } else if (key.kind() == Kind::kInt) {
        Law(value->Find(key.int_value()) == value->values().back(), "a key finds its value");
      }
    }
    if (--conversions_left < 0) continue;
    document.Int(*value).status().IgnoreError();
    document.Number(*value).status().IgnoreError();
    const auto texts = document.Texts(*value);
    if (!texts.ok()) CheckError(texts.status(), "fuzz: byte ");
    const auto shape = document.NumbersShape(*value);
    if (!shape.ok()) {
      CheckError(shape.status(), "fuzz: byte ");
      continue;
    }
    int64_t size = 1;
    for (const int64_t length : *shape) {
      if (length == 0) size = 0;
    }
    for (const int64_t length : *shape) size *= size == 0 ? 0 : length;
    if (size > kMostNumbers) continue;
    Convert<float>(document, *value, size);
    Convert<double>(document, *value, size);
    Convert<int64_t>(document, *value, size);
  }
}

// Writes `value`, unless it has what Writer has no opcode for or is too large.
bool Write(const Value& value, int depth, int* left, pickle::Writer* writer) {
  if (depth > kDeepestWritten || --*left < 0) return false;
  switch (value.kind()) {
    case Kind::kNone:
      writer->None();
      return true;
    case Kind::kBool:
      writer->Bool(value.bool_value());
      return true;
    case Kind::kInt:
      writer->Int(value.int_value());
      return true;
    case Kind::kFloat:
      writer->Float(value.float_value());
      return true;
    case Kind::kString:
      writer->String(value.string());
      return true;
    case Kind::kList:
    case Kind::kTuple: {
      const bool list = value.kind() == Kind::kList;
      const bool small = !list && value.items().size() <= 3;
      if (list) writer->EmptyList();
      if (!small) writer->Mark();
      for (const Value* item : value.items()) {
        if (!Write(*item, depth + 1, left, writer)) return false;
      }
      if (list) {
        writer->Appends();
      } else if (small) {
        writer->Tuple(static_cast<int>(value.items().size()));
      } else {
        writer->TupleFromMark();
      }
      return true;
    }
    case Kind::kDict:
      writer->EmptyDict();
      writer->Mark();
      for (size_t i = 0; i < value.keys().size(); ++i) {
        if (!Write(*value.keys()[i], depth + 1, left, writer) ||
            !Write(*value.values()[i], depth + 1, left, writer)) {
          return false;
        }
      }
      writer->SetItems();
      return true;
    default:
      return false;
  }
}

bool SameFloat(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

bool Same(const Value& a, const Value& b) {
  if (a.kind() != b.kind() || a.int_value() != b.int_value() || a.bool_value() != b.bool_value() ||
      !SameFloat(a.float_value(), b.float_value()) || a.string() != b.string() ||
      a.items().size() != b.items().size() || a.keys().size() != b.keys().size()) {
    return false;
  }
  for (size_t i = 0; i < a.items().size(); ++i) {
    if (!Same(*a.items()[i], *b.items()[i])) return false;
  }
  for (size_t i = 0; i < a.keys().size(); ++i) {
    if (!Same(*a.keys()[i], *b.keys()[i]) || !Same(*a.values()[i], *b.values()[i])) return false;
  }
  return true;
}

void CheckWritten(const Value& root) {
  pickle::Writer writer;
  int left = kMostWritten;
  if (!Write(root, 0, &left, &writer)) return;
  const auto again = Document::Parse(std::move(writer).Finish(), "fuzz", CheckpointOptions());
  Law(again.ok(), "what is written is read", again.status().ToString());
  Law(Same(root, (*again)->root()), "what is written is read as equal");
}

void Run(std::string bytes, const pickle::Options& options) {
  const size_t size = bytes.size();
  const PeakMemory memory;
  const auto document = Document::Parse(std::move(bytes), "fuzz", options);
  // 64 for the objects; the stack and the memo, and what one opcode adds before it is counted.
  memory.CheckAtMost(size, 256, size_t{4} << 20);
  if (!document.ok()) return CheckError(document.status(), "fuzz: byte ");
  Law((*document)->memory_used() <= 64 * size + (uint64_t{1} << 20),
      "objects take at most 64 bytes per byte and 1 MiB");
  Law((*document)->pickle_size() <= size, "a pickle ends in its file");
  Walk(**document);
  CheckWritten((*document)->root());
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  cmerc::fuzz::Run(bytes, cmerc::fuzz::CheckpointOptions());
  cmerc::fuzz::Run(bytes, cmerc::fuzz::DataOptions());
  return 0;
}
