#include "tests/storage/pickle/program.h"

#include <algorithm>
#include <cstring>

namespace cmerc::pickle::program {
namespace {

template <typename T>
std::string Raw(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string joined;
  for (const std::string& part : parts) joined += part;
  return joined;
}

std::vector<std::string> Ints(const std::vector<int64_t>& values) {
  std::vector<std::string> ints;
  for (const int64_t value : values) ints.push_back(Int(value));
  return ints;
}

}  // namespace

std::string None() { return "N"; }

std::string Bool(bool value) { return value ? "\x88" : "\x89"; }

std::string Int(int64_t value) { return "\x8a\x08" + Raw(value); }

std::string Float(double value) {
  std::string bytes = Raw(value);
  std::reverse(bytes.begin(), bytes.end());
  return "G" + bytes;
}

std::string Text(const std::string& utf8) {
  return "X" + Raw(static_cast<uint32_t>(utf8.size())) + utf8;
}

std::string Bytes(const std::string& bytes) {
  return "B" + Raw(static_cast<uint32_t>(bytes.size())) + bytes;
}

std::string Tuple(const std::vector<std::string>& items) { return "(" + Joined(items) + "t"; }

std::string List(const std::vector<std::string>& items) { return "](" + Joined(items) + "e"; }

std::string Dict(const std::vector<std::string>& entries) { return "}(" + Joined(entries) + "u"; }

std::string Global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}

std::string Call(const std::string& callable, const std::vector<std::string>& args) {
  return callable + Tuple(args) + "R";
}

std::string New(const std::string& callable, const std::vector<std::string>& args) {
  return callable + Tuple(args) + "\x81";
}

std::string Build(const std::string& object, const std::string& state) {
  return object + state + "b";
}

std::string NumpyType(const std::string& code) {
  return Call(Global("numpy", "dtype"), {Text(code), Bool(false), Bool(true)});
}

std::string Array(const std::vector<int64_t>& shape, const std::string& code,
                  const std::string& data, const std::string& module, const std::string& name) {
  return Build(Call(Global("numpy.core.multiarray", "_reconstruct"),
                    {Global(module, name), Tuple({Int(0)}), Bytes("b")}),
               Tuple({Int(1), Tuple(Ints(shape)), NumpyType(code), Bool(false), Bytes(data)}));
}

std::string FloatData(const std::vector<float>& values) {
  std::string data;
  for (const float value : values) data += Raw(value);
  return data;
}

std::string IntData(const std::vector<int64_t>& values) {
  std::string data;
  for (const int64_t value : values) data += Raw(value);
  return data;
}

std::string LegacyStorage(const std::string& type, int64_t count, const std::string& data) {
  const std::string begin = "\x80\x02";
  return begin + "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + begin + "M\xe9\x03." +
         begin + Dict({Text("protocol_version"), Int(1001), Text("little_endian"), Bool(true)}) +
         "." + begin +
         Tuple({Text("storage"), Global("torch", type), Text("1234"), Text("cpu"), Int(count),
                None()}) +
         "Q." + begin + List({Text("1234")}) + "." + Raw(count) + data;
}

std::string Tensor(const std::string& type, int64_t count, const std::string& data, int64_t offset,
                   const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides) {
  return Call(
      Global("torch._utils", "_rebuild_tensor_v2"),
      {Call(Global("torch.storage", "_load_from_bytes"), {Bytes(LegacyStorage(type, count, data))}),
       Int(offset), Tuple(Ints(sizes)), Tuple(Ints(strides)), Bool(false),
       Call(Global("collections", "OrderedDict"), {})});
}

}  // namespace cmerc::pickle::program
