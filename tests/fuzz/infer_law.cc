#include "tests/fuzz/infer_law.h"

#include <string>
#include <vector>

#include "datasets/formats/conversation.h"
#include "serving/infer_json.h"
#include "serving/infer_tensors.h"

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

}  // namespace

void CheckInference(const inference::ModelInferRequest& request, size_t bytes,
                    const PeakMemory& memory) {
  const serving::ModelDescription model = Model();
  const auto input = serving::ReadInferRequest(request, model, 1000);
  memory.CheckAtMost(bytes, 400, size_t{1} << 20);
  if (!input.ok()) return CheckError(input.status());
  std::vector<PredictedConversation> predictions;
  std::vector<std::string> lines;
  for (const ConversationRecord& record : input->conversations) {
    const absl::Status status = CheckRecord(record);
    Law(status.ok(), "what is accepted keeps the format's promises", status.ToString());
    predictions.push_back(PredictionOf(record));
    lines.emplace_back("{}");
  }
  const auto response = serving::WriteInferResponse(request, model, *input, predictions, lines);
  Law(response.outputs_size() == static_cast<int>(input->outputs.size()),
      "every output is answered");
  const serving::InferAnswer answer = serving::InferResponseToJson(request, response);
  Law(answer.json_size.value_or(0) <= answer.body.size(), "binary values follow the JSON");
}

}  // namespace cmerc::fuzz
