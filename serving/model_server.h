// The Service: models by name, and workers that answer requests with them.
#ifndef CMERC_SERVING_MODEL_SERVER_H_
#define CMERC_SERVING_MODEL_SERVER_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bin/acting_flags.h"
#include "serving/extractor.h"
#include "serving/loaded_model.h"
#include "serving/service.h"
#include "serving/work_queue.h"

namespace cmerc::serving {

struct ModelServerOptions {
  std::map<std::string, std::string> models;  // name -> file
  ActingFlags acting;
  WorkQueueOptions queue;
  int64_t max_utterances = 1000;  // of a request, and of a conversation that goes on
  std::string extractor;          // a command for the shell; "": none
};

class ModelServer final : public Service {
 public:
  // Loads all models. Errors are those of LoadModel().
  static absl::StatusOr<std::unique_ptr<ModelServer>> Create(const ModelServerOptions& options);

  bool IsReady() const override;
  bool IsReady(const std::string& model, const std::string& version) const override;
  inference::ServerMetadataResponse Metadata() const override;
  absl::StatusOr<inference::ModelMetadataResponse> Metadata(
      const std::string& model, const std::string& version) const override;
  absl::StatusOr<inference::ModelInferResponse> Infer(const inference::ModelInferRequest& request,
                                                      Deadline deadline) override;
  absl::StatusOr<std::string> Predict(const std::string& model, absl::string_view lines,
                                      bool explain, bool extract, Deadline deadline) override;
  absl::StatusOr<std::unique_ptr<OpenConversation>> Open(const std::string& model,
                                                         bool explain) override;
  inference::RepositoryIndexResponse Index(bool only_ready) const override;
  absl::Status Load(const std::string& model) override;
  absl::Status Unload(const std::string& model) override;
  std::string MetricsText() const override;
  Counters& counters() override { return counters_; }

  // Loads every model anew, and says on standard error what came of it.
  void Reload();
  // From now on the server is not ready, so that nobody sends it more; what comes is answered.
  void BeginToStop() { is_stopping_ = true; }
  // Answers what has come, ends the workers and refuses what comes.
  void Drain() { queue_->Drain(); }

 private:
  struct Entry {
    std::string path;
    int loads = 0;
    std::shared_ptr<LoadedModel> model;  // null: not loaded
    std::string reason;                  // why not
  };

  explicit ModelServer(const ModelServerOptions& options) : options_(options) {}

  // NotFound and Unavailable as Service has them.
  absl::StatusOr<std::shared_ptr<LoadedModel>> Find(const std::string& name,
                                                    const std::string& version) const;
  absl::Status Submit(const std::shared_ptr<Job>& job, Deadline deadline);

  const ModelServerOptions options_;
  Counters counters_;
  std::atomic<bool> is_stopping_{false};
  std::mutex loading_;  // one model is loaded at a time
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::unique_ptr<Extractor> extractor_;  // null: none
  std::unique_ptr<WorkQueue> queue_;
};

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_MODEL_SERVER_H_
