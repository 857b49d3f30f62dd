// Why features have a JSON reader of their own: conversations of 110 utterances with four streams
// of 1024 numbers, of 8 with 32 numbers, and of 10 that are little but text, read by it and by
// Protobuf's parser, into the message that takes any JSON.
//
//   bazel run //benchmarks/datasets/formats:json_benchmark
#include <benchmark/benchmark.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <random>
#include <string>

#include "datasets/formats/json_lines.h"

namespace cmerc {
namespace {

// A conversation whose size the benchmark's arguments say: utterances, streams, width.
std::string Line(const benchmark::State& state) {
  const int utterances = static_cast<int>(state.range(0));
  const int width = static_cast<int>(state.range(2));
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  ConversationRecord record;
  record.set_id("d1");
  ConversationRecord::Modality* text = record.add_modalities();
  text->set_name("text");
  text->set_width(width);
  for (int i = 0; i < utterances; ++i) {
    ConversationRecord::Utterance* utterance = record.add_utterances();
    utterance->set_speaker("A");
    utterance->set_label("joy");
    utterance->set_text("I could not believe what she said, really, could you?");
  }
  for (int s = 0; s < state.range(1); ++s) {
    ConversationRecord::Stream* stream = text->add_streams();
    for (int i = 0; i < utterances * width; ++i) stream->add_values(normal(random));
  }
  return ConversationToJson(record);
}

void JsonLines(benchmark::State& state) {
  const std::string line = Line(state);
  for (auto _ : state) {
    if (!ConversationFromJson(line).ok()) state.SkipWithError("cannot read the line");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * line.size()));
}

void ProtobufStruct(benchmark::State& state) {
  const std::string line = Line(state);
  for (auto _ : state) {
    google::protobuf::Struct any;
    if (!google::protobuf::util::JsonStringToMessage(line, &any).ok()) {
      state.SkipWithError("cannot read the line");
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * line.size()));
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"utterances", "streams", "width"})
      ->Args({110, 4, 1024})
      ->Args({8, 1, 32})
      ->Args({10, 1, 1})
      ->Unit(benchmark::kMicrosecond);
}
BENCHMARK(JsonLines)->Apply(Sizes);
BENCHMARK(ProtobufStruct)->Apply(Sizes);

}  // namespace
}  // namespace cmerc
