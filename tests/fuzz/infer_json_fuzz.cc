// Inference requests over HTTP (serving/infer_json, raw_tensor, infer_tensors), as JSON and with
// binary values: the first two bytes say where the JSON ends.
//
//   tests/fuzz/run.sh infer_json -max_total_time=300
//
// Laws: an error is InvalidArgument with a message; memory is bounded by the size of the request;
// conversations that are accepted keep the format's promises (CheckRecord); an answer can be made
// of them in every form.
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "datasets/formats/conversation.h"
#include "serving/infer_json.h"
#include "serving/infer_tensors.h"
#include "tests/fuzz/law.h"

namespace cmerc::fuzz {
namespace {

serving::ModelDescription Model() {
  serving::ModelDescription model;
  model.name = "m";
  model.version = "1";
  model.modalities = {{"t", 2, 1}, {"a", 1, 2}};
  model.class_names = {"x", "y"};
  model.views = {"t"};
  return model;
}

PredictedConversation PredictionOf(const ConversationRecord& record) {
  PredictedConversation predicted;
  for (int i = 0; i < record.utterances_size(); ++i) {
    PredictedUtterance* utterance = predicted.add_utterances();
    utterance->set_label("x");
    for (const char* name : {"x", "y"}) (*utterance->mutable_probabilities())[name] = 0.5;
    utterance->add_without()->set_label("y");
  }
  return predicted;
}

void Run(absl::string_view body, std::optional<size_t> json_size) {
  const PeakMemory memory;
  const auto request = serving::InferRequestFromJson(body, json_size);
  if (!request.ok()) return CheckError(request.status());
  const serving::ModelDescription model = Model();
  const auto input = serving::ReadInferRequest(*request, model, 1000);
  memory.CheckAtMost(body.size(), 400, size_t{1} << 20);
  if (!input.ok()) return CheckError(input.status());
  std::vector<PredictedConversation> predictions;
  std::vector<std::string> lines;
  for (const ConversationRecord& record : input->conversations) {
    const absl::Status status = CheckRecord(record);
    Law(status.ok(), "what is accepted keeps the format's promises", status.ToString());
    predictions.push_back(PredictionOf(record));
    lines.emplace_back("{}");
  }
  const auto response = serving::WriteInferResponse(*request, model, *input, predictions, lines);
  Law(response.outputs_size() == static_cast<int>(input->outputs.size()),
      "every output is answered");
  const serving::InferAnswer answer = serving::InferResponseToJson(*request, response);
  Law(answer.json_size.value_or(0) <= answer.body.size(), "binary values follow the JSON");
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view all(reinterpret_cast<const char*>(data), size);
  cmerc::fuzz::Run(all, std::nullopt);
  if (size < 2) return 0;
  cmerc::fuzz::Run(all.substr(2), static_cast<size_t>(data[0]) + 256 * data[1]);
  return 0;
}
