// A Service without a model, for tests of the protocols.
#ifndef CMERC_TESTS_SERVING_FAKE_SERVICE_H_
#define CMERC_TESTS_SERVING_FAKE_SERVICE_H_

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "serving/service.h"

namespace cmerc::serving {

// Numbers the utterances, and refuses one whose speaker is "nobody".
class FakeConversation final : public OpenConversation {
 public:
  absl::StatusOr<ConverseResponse> Push(const ConverseRequest& request, Deadline) override {
    if (request.speaker() == "nobody") return absl::InvalidArgumentError("nobody speaks");
    ConverseResponse response;
    response.set_number(count_++);
    response.mutable_utterance()->set_label(absl::StrCat("of ", request.speaker()));
    return response;
  }

 private:
  int count_ = 0;
};

// Has one model, "m".
class FakeService final : public Service {
 public:
  bool IsReady() const override { return is_ready; }
  bool IsReady(const std::string& model, const std::string&) const override { return model == "m"; }
  inference::ServerMetadataResponse Metadata() const override {
    inference::ServerMetadataResponse metadata;
    metadata.set_name("fake");
    return metadata;
  }
  absl::StatusOr<inference::ModelMetadataResponse> Metadata(
      const std::string& model, const std::string& version) const override {
    if (model != "m") return absl::NotFoundError("no such model");
    inference::ModelMetadataResponse metadata;
    metadata.set_name(model);
    metadata.add_versions(version.empty() ? "1" : version);
    return metadata;
  }
  // Gives the values of the first input back.
  absl::StatusOr<inference::ModelInferResponse> Infer(const inference::ModelInferRequest& request,
                                                      Deadline) override {
    if (!failure.ok()) return failure;
    inference::ModelInferResponse response;
    response.set_model_name(request.model_name());
    response.set_id(request.id());
    if (request.inputs_size() > 0) {
      auto* output = response.add_outputs();
      output->set_name("echo");
      output->set_datatype("BYTES");
      *output->mutable_shape() = request.inputs(0).shape();
      response.add_raw_output_contents(request.raw_input_contents(0));
    }
    return response;
  }
  absl::StatusOr<std::string> Predict(const std::string&, absl::string_view lines, bool explain,
                                      bool extract, Deadline) override {
    return absl::StrCat(lines, explain ? "explained" : "", extract ? "extracted" : "");
  }
  absl::StatusOr<std::unique_ptr<OpenConversation>> Open(const std::string& model, bool) override {
    if (model != "m") return absl::NotFoundError("no such model");
    return std::make_unique<FakeConversation>();
  }
  inference::RepositoryIndexResponse Index(bool) const override {
    inference::RepositoryIndexResponse index;
    index.add_models()->set_name("m");
    return index;
  }
  absl::Status Load(const std::string& model) override {
    return model == "m" ? absl::OkStatus() : absl::NotFoundError("no such model");
  }
  absl::Status Unload(const std::string& model) override { return Load(model); }
  std::string MetricsText() const override { return counters_.Text(0, {{"m", true}}); }
  Counters& counters() override { return counters_; }

  bool is_ready = true;
  absl::Status failure;  // of Infer()

 private:
  Counters counters_;
};

}  // namespace cmerc::serving

#endif  // CMERC_TESTS_SERVING_FAKE_SERVICE_H_
