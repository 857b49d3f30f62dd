// Reading features as the official files keep them: a dict of conversations, each a list of float32
// vectors of 1024, one per utterance; then one contiguous [utterances, 1024] matrix each. The
// argument is the number of conversations of 50 utterances, 0.2 MB each.
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "benchmark/benchmark.h"
#include "storage/pickle/pickle.h"

namespace cmerc::pickle {
namespace {

using std::string_literals::operator""s;

constexpr int kUtterances = 50, kWidth = 1024;

// How the bytes of an array are written.
enum class Payload {
  kPython2,     // protocol 2 of Python 2: BINSTRING
  kPython3,     // protocol 4: BINBYTES
  kPython3Old,  // protocol 2 of Python 3: latin-1 text in UTF-8, for _codecs.encode
};

template <typename T>
std::string Fixed(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

// Opcodes that push the bytes of kWidth random floats.
std::string PayloadOpcodes(Payload payload, std::mt19937* random) {
  std::normal_distribution<float> normal;
  std::string data;
  for (int i = 0; i < kWidth; ++i) data += Fixed(normal(*random));
  if (payload == Payload::kPython2) return "T" + Fixed<int32_t>(4 * kWidth) + data;
  if (payload == Payload::kPython3) return "B" + Fixed<uint32_t>(4 * kWidth) + data;
  std::string utf8;
  for (const char c : data) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x80) utf8 += static_cast<char>(0xC0 | byte >> 6);
    utf8 += byte < 0x80 ? c : static_cast<char>(0x80 | (byte & 0x3F));
  }
  return "c_codecs\nencode\nX" + Fixed(static_cast<uint32_t>(utf8.size())) + utf8 +
         "X\6\0\0\0latin1\x86R"s;
}

std::string FeaturesPickle(Payload payload, int64_t conversations) {
  std::mt19937 random(1);
  std::vector<std::string> payloads;  // a few, so that the input is made in no time
  for (int i = 0; i < 16; ++i) payloads.push_back(PayloadOpcodes(payload, &random));
  // Memo 0: _reconstruct, 1: ndarray, 2: the dtype.
  std::string bytes =
      "\x80\2cnumpy.core.multiarray\n_reconstruct\nq\0"s
      "0cnumpy\nndarray\nq\1"
      "0cnumpy\ndtype\nU\2f4K\0K\1\x87R(K\3U\1<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tbq\2"s
      "0}("s;
  uint32_t memo = 3;
  for (int64_t c = 0; c < conversations; ++c) {
    const std::string id = absl::StrCat("Ses", c);
    bytes += "U"s + static_cast<char>(id.size()) + id + "r" + Fixed(memo++) + "](";
    for (int u = 0; u < kUtterances; ++u) {
      bytes += "h\0h\1K\0\x85U\1b\x87Rr"s + Fixed(memo++) + "(K\1M\0\4\x85h\2\x89"s;
      bytes += payloads[static_cast<size_t>(u) % payloads.size()];
      bytes += "r" + Fixed(memo++) + "tb";
    }
    bytes += "e";
  }
  return bytes + "u.";
}

void LoadFeatures(benchmark::State& state, Payload payload) {
  const std::string bytes = FeaturesPickle(payload, state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    std::string copy = bytes;
    state.ResumeTiming();
    const auto document = Document::Parse(std::move(copy), "features.pkl");
    if (!document.ok()) return state.SkipWithError(document.status().ToString().c_str());
    for (const Value* rows : (*document)->root().values()) {
      const auto shape = (*document)->NumbersShape(*rows);
      const int64_t size = (*shape)[0] * (*shape)[1];
      const std::unique_ptr<float[]> matrix(new float[static_cast<size_t>(size)]);
      const absl::Status status =
          (*document)->CopyNumbers(*rows, absl::MakeSpan(matrix.get(), static_cast<size_t>(size)));
      if (!status.ok()) return state.SkipWithError(status.ToString().c_str());
      benchmark::DoNotOptimize(matrix.get());
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes.size() * state.iterations()));
}

BENCHMARK_CAPTURE(LoadFeatures, python2_protocol2, Payload::kPython2)->Arg(10)->Arg(200);
BENCHMARK_CAPTURE(LoadFeatures, python3_protocol4, Payload::kPython3)->Arg(10)->Arg(200);
BENCHMARK_CAPTURE(LoadFeatures, python3_protocol2, Payload::kPython3Old)->Arg(10)->Arg(200);

// Labels, speakers and ids: small objects only. The argument is the number of ints.
void LoadLists(benchmark::State& state) {
  std::string bytes = "\x80\2]";
  for (int64_t i = 0; i < state.range(0); i += 1000) {
    bytes += "(";
    for (int j = 0; j < 1000; ++j) bytes += "K"s + static_cast<char>(j);
    bytes += "e";
  }
  bytes += ".";
  for (auto _ : state) {
    const auto document = Document::Parse(bytes, "lists.pkl");
    if (!document.ok()) return state.SkipWithError(document.status().ToString().c_str());
    benchmark::DoNotOptimize(&(*document)->root());
  }
  state.SetItemsProcessed(state.range(0) * state.iterations());
}

BENCHMARK(LoadLists)->Arg(1000000);

}  // namespace
}  // namespace cmerc::pickle
