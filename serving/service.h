// What the server can do, whichever protocol asks; without LibTorch, gRPC and HTTP.
#ifndef CMERC_SERVING_SERVICE_H_
#define CMERC_SERVING_SERVICE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serving/conversation_service.pb.h"
#include "serving/counters.h"
#include "serving/open_inference.pb.h"
#include "serving/work_queue.h"

namespace cmerc::serving {

// A conversation that goes on. Calls come one after the other.
class OpenConversation {
 public:
  virtual ~OpenConversation() = default;
  // Predicts the next utterance. InvalidArgument: it does not fit the model. ResourceExhausted: the
  // conversation is too long, or too many requests wait. After an error it is as it was.
  virtual absl::StatusOr<ConverseResponse> Push(const ConverseRequest& request,
                                                Deadline deadline) = 0;
};

// Calls come from any thread. Errors that all of them may have: NotFound: no model of this name or
// version; Unavailable: the model is not loaded, or the server is about to stop; ResourceExhausted:
// too many requests wait; DeadlineExceeded.
class Service {
 public:
  virtual ~Service() = default;

  virtual bool IsReady() const = 0;
  // An empty version is the one there is.
  virtual bool IsReady(const std::string& model, const std::string& version) const = 0;
  virtual inference::ServerMetadataResponse Metadata() const = 0;
  virtual absl::StatusOr<inference::ModelMetadataResponse> Metadata(
      const std::string& model, const std::string& version) const = 0;

  // Predicts the conversations of a request.
  virtual absl::StatusOr<inference::ModelInferResponse> Infer(
      const inference::ModelInferRequest& request, Deadline deadline) = 0;
  // What `cmerc predict` makes of `lines`, JSON Lines: a line for each conversation. `extract`: the
  // features of the utterances are still to be made, by the program of --extractor.
  virtual absl::StatusOr<std::string> Predict(const std::string& model, absl::string_view lines,
                                              bool explain, bool extract, Deadline deadline) = 0;
  virtual absl::StatusOr<std::unique_ptr<OpenConversation>> Open(const std::string& model,
                                                                 bool explain) = 0;

  virtual inference::RepositoryIndexResponse Index(bool only_ready) const = 0;
  // Loads a model from its file, anew where it is loaded: requests that have come before are
  // answered by the one before. After an error that goes on answering.
  virtual absl::Status Load(const std::string& model) = 0;
  virtual absl::Status Unload(const std::string& model) = 0;

  virtual std::string MetricsText() const = 0;
  virtual Counters& counters() = 0;
};

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_SERVICE_H_
