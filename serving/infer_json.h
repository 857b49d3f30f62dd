// The Open Inference Protocol over HTTP: requests and answers as JSON, with its extension for
// binary tensor data, to and from the messages of serving/open_inference.proto.
#ifndef CMERC_SERVING_INFER_JSON_H_
#define CMERC_SERVING_INFER_JSON_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serving/open_inference.pb.h"

namespace cmerc::serving {

// Reads the body of an inference request; values are in raw_input_contents. `json_size`: the header
// Inference-Header-Content-Length, which says where the JSON ends and the binary values begin;
// absent: all is JSON. The model's name and version are not set. InvalidArgument names the place:
// "inputs[0].data[3] is NaN, want ...".
absl::StatusOr<inference::ModelInferRequest> InferRequestFromJson(absl::string_view body,
                                                                  std::optional<size_t> json_size);

struct InferAnswer {
  std::string body;
  // Of the JSON at the beginning of `body`, where binary values follow it.
  std::optional<size_t> json_size;
};

// The answer to `request` in the form that it asks for: values as JSON, or as bytes for outputs
// with the parameter binary_data, or for all with binary_data_output.
InferAnswer InferResponseToJson(const inference::ModelInferRequest& request,
                                const inference::ModelInferResponse& response);

std::string ToJson(const inference::ServerMetadataResponse& metadata);
std::string ToJson(const inference::ModelMetadataResponse& metadata);
std::string ToJson(const inference::RepositoryIndexResponse& index);

// {"error":"..."}
std::string ErrorToJson(absl::string_view message);

// `text`, which is UTF-8, as JSON: in quotes, with escapes.
std::string JsonString(absl::string_view text);

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_INFER_JSON_H_
