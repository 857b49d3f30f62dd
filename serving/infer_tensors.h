// Tensors of the Open Inference Protocol, from and to conversations.
#ifndef CMERC_SERVING_INFER_TENSORS_H_
#define CMERC_SERVING_INFER_TENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/prediction.pb.h"
#include "datasets/formats/conversation.pb.h"
#include "serving/model_description.h"
#include "serving/open_inference.pb.h"

namespace cmerc::serving {

// The output tensor whose values are the lines that `cmerc predict` writes.
constexpr char kPrediction[] = "prediction";

// What a request asks for.
struct InferInput {
  // CheckRecord() of datasets/formats/conversation.h holds for each.
  std::vector<ConversationRecord> conversations;
  // Names of output tensors, in the order in which they are answered.
  std::vector<std::string> outputs;
  bool explain = false;  // some of them say what changes without a source of evidence
};

// The tensors that requests may have and answers have, as -1 says for any number of conversations
// (B) and utterances (N).
std::vector<inference::ModelMetadataResponse::TensorMetadata> InputTensors(
    const ModelDescription& model);
std::vector<inference::ModelMetadataResponse::TensorMetadata> OutputTensors(
    const ModelDescription& model);

// InvalidArgument: a modality of the model is called as an input that every model has.
absl::Status CheckNames(const ModelDescription& model);

// Reads the conversations of a request for this model, of at most `max_utterances` utterances
// together. Values that `evidence` says are not there are not looked at. InvalidArgument names the
// tensor, what was found and what is wanted.
absl::StatusOr<InferInput> ReadInferRequest(const inference::ModelInferRequest& request,
                                            const ModelDescription& model, int64_t max_utterances);

// The answer: `predictions`, one for each conversation of `input`, and where kPrediction is among
// its outputs `lines`, the same as `cmerc predict` writes them. Values are in raw_output_contents.
inference::ModelInferResponse WriteInferResponse(
    const inference::ModelInferRequest& request, const ModelDescription& model,
    const InferInput& input, const std::vector<PredictedConversation>& predictions,
    const std::vector<std::string>& lines);

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_INFER_TENSORS_H_
