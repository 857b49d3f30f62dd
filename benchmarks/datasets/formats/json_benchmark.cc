// Why features have a JSON reader of their own: a conversation of 110 utterances with four streams
// of 1024 numbers, read by it and by Protobuf's parser, into the message that takes any JSON.
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

std::string Line() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  ConversationRecord record;
  record.set_id("d1");
  ConversationRecord::Modality* text = record.add_modalities();
  text->set_name("text");
  text->set_width(1024);
  for (int i = 0; i < 110; ++i) record.add_utterances()->set_speaker("A");
  for (int s = 0; s < 4; ++s) {
    ConversationRecord::Stream* stream = text->add_streams();
    for (int i = 0; i < 110 * 1024; ++i) stream->add_values(normal(random));
  }
  return ConversationToJson(record);
}

void JsonLines(benchmark::State& state) {
  const std::string line = Line();
  for (auto _ : state) {
    if (!ConversationFromJson(line).ok()) state.SkipWithError("cannot read the line");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * line.size()));
}
BENCHMARK(JsonLines)->Unit(benchmark::kMillisecond);

void ProtobufStruct(benchmark::State& state) {
  const std::string line = Line();
  for (auto _ : state) {
    google::protobuf::Struct any;
    if (!google::protobuf::util::JsonStringToMessage(line, &any).ok()) {
      state.SkipWithError("cannot read the line");
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * line.size()));
}
BENCHMARK(ProtobufStruct)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cmerc
