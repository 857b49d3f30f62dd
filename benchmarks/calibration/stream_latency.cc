// How long `cmerc predict --stream` takes for an utterance, by how many came before it:
//
//   bazel run //benchmarks/calibration:stream_latency -- [CONVERSATIONS]
//
// Untrained models for data { context: PAST } at the sizes of IEMOCAP (text 1024, audio 1582,
// visual 342 numbers, six classes) and with default options get conversations of 100 utterances, as
// lines of JSON. A latency is that of reading a line, predicting it and writing its answer as JSON,
// without the pipe; beside other work on the machine, the time that the processors worked on it
// says more. Threads are those of OMP_NUM_THREADS; GOMP_SPINCOUNT=0 lets them wait as `cmerc` does.
#include <ATen/Parallel.h>
#include <google/protobuf/text_format.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "calibration/prediction_text.h"
#include "calibration/stream.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "datasets/assembly/conversation_tensors.h"
#include "datasets/formats/stream_line.h"

namespace cmerc {
namespace {

constexpr int64_t kUtterances = 100;

DatasetInfo Info() {
  DatasetInfo info;
  info.name = "IEMOCAP";
  info.modalities = {{"text", 1024, 1}, {"audio", 1582, 1}, {"visual", 342, 1}};
  info.class_names = {"hap", "sad", "neu", "ang", "exc", "fru"};
  info.class_counts.assign(6, 1);
  info.num_speakers = 2;
  info.speaker_names = {"M", "F"};
  info.context = ContextScope::kPast;
  return info;
}

Predictor Model(const std::string& type) {
  RunConfig config;
  google::protobuf::TextFormat::ParseFromString(
      absl::StrCat("backbone { [type.googleapis.com/", type, "] {} }"), &config);
  torch::manual_seed(1);
  auto backbone = Backbones().Create(config.backbone(), Info());
  TORCH_CHECK(backbone.ok(), backbone.status().ToString());
  Predictor::Setup setup;
  setup.temperature = 1.5;
  return Predictor(*std::move(backbone), std::move(setup));
}

// Lines of one conversation.
std::vector<std::string> MakeLines(const std::string& id) {
  std::vector<std::string> lines;
  for (int64_t i = 0; i < kUtterances; ++i) {
    std::string line = absl::StrCat("{\"conversation\":\"", id, "\",\"speaker\":\"",
                                    i % 2 == 0 ? "M" : "F", "\",\"features\":{");
    for (const ModalityInfo& modality : Info().modalities) {
      const torch::Tensor values = torch::randn({modality.width});
      absl::StrAppend(&line, line.back() == '{' ? "" : ",", "\"", modality.name, "\":[");
      for (int64_t d = 0; d < modality.width; ++d) {
        absl::StrAppendFormat(&line, d == 0 ? "%.6f" : ",%.6f", values.data_ptr<float>()[d]);
      }
      line += "]";
    }
    lines.push_back(line + "}}");
  }
  return lines;
}

// The answer to a line, as `predict --stream` makes it.
std::string Answer(ConversationStream& stream, const std::string& text) {
  const auto line = StreamLineFromJson(text, UnknownKeys::kKeep);
  TORCH_CHECK(line.ok(), line.status().ToString());
  auto utterance = ToConversation(line->record, stream.predictor().info());
  TORCH_CHECK(utterance.ok(), utterance.status().ToString());
  auto answer =
      stream.Push(line->record.id(), *std::move(utterance), line->record.utterances(0).speaker());
  TORCH_CHECK(answer.ok(), answer.status().ToString());
  PredictedConversation prediction;
  prediction.set_id(line->record.id());
  *prediction.add_utterances() = std::move(answer->utterance);
  return StreamedToJson(prediction, answer->number, answer->restarted);
}

// Milliseconds that the processors have worked for this process.
double ProcessorTime() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

void PrintQuantiles(const std::string& name, std::vector<double> milliseconds) {
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto at = [&](double share) {
    return milliseconds[static_cast<size_t>(share * static_cast<double>(milliseconds.size() - 1))];
  };
  std::cout << absl::StrFormat("%-34s p50 %6.2f  p95 %6.2f  p99 %6.2f  max %6.2f ms\n", name,
                               at(0.5), at(0.95), at(0.99), milliseconds.back());
}

void PrintHistogram(const std::vector<double>& milliseconds) {
  const std::vector<double> edges = {0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 10, 100};
  double from = 0;
  for (const double to : edges) {
    const auto count = std::count_if(milliseconds.begin(), milliseconds.end(),
                                     [&](double one) { return one >= from && one < to; });
    if (count > 0) std::cout << absl::StrFormat("  %6.2f to %6.2f ms %7d\n", from, to, count);
    from = to;
  }
}

void Measure(const std::string& type, const std::vector<View>& views, int conversations) {
  ConversationStream stream(Model(type), views, {});
  std::vector<double> all, at_the_end, worked;
  for (int c = 0; c < conversations + 1; ++c) {
    const std::string id = absl::StrCat("d", c);
    const std::vector<std::string> lines = MakeLines(id);
    for (int64_t i = 0; i < kUtterances; ++i) {
      const double worked_before = ProcessorTime();
      const auto begin = std::chrono::steady_clock::now();
      const std::string answer = Answer(stream, lines[i]);
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - begin;
      const double work = ProcessorTime() - worked_before;
      TORCH_CHECK(!answer.empty());
      if (c == 0) continue;  // the first conversation warms up
      all.push_back(took.count());
      worked.push_back(work);
      if (i >= kUtterances - 10) at_the_end.push_back(took.count());
    }
    stream.Close(id);
  }
  const std::string name = absl::StrCat(type, views.empty() ? "" : " with views");
  PrintQuantiles(absl::StrCat(name, ", 1 to 100"), all);
  PrintQuantiles(absl::StrCat(name, ", 91 to 100"), at_the_end);
  PrintQuantiles("  processor time, 1 to 100", worked);
  PrintHistogram(all);
  std::cout << std::flush;
}

}  // namespace
}  // namespace cmerc

int main(int argc, char** argv) {
  int conversations = 30;
  if (argc > 1 && !absl::SimpleAtoi(argv[1], &conversations)) return 2;
  std::cout << at::get_num_threads() << " threads, " << conversations
            << " conversations of 100 utterances" << std::endl;
  for (const char* type : {"cmerc.GruOptions", "cmerc.TransformerOptions"}) {
    cmerc::Measure(type, {}, conversations);
    cmerc::Measure(type, cmerc::AllViews(cmerc::Info()), conversations);
  }
  return 0;
}
