#include "serving/model_server.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <iostream>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bin/environment.h"
#include "bin/predict_options.h"
#include "bin/version.h"
#include "core/printable.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "datasets/formats/json_lines.h"
#include "serving/infer_tensors.h"
#include "serving/jobs.h"
#include "serving/served_conversation.h"

namespace cmerc::serving {

using inference::ModelInferRequest;
using inference::ModelInferResponse;

absl::StatusOr<std::unique_ptr<ModelServer>> ModelServer::Create(
    const ModelServerOptions& options) {
  std::unique_ptr<ModelServer> server(new ModelServer(options));
  for (const auto& [name, path] : options.models) {
    server->entries_[name].path = path;
    RETURN_IF_ERROR(server->Load(name));
  }
  if (!options.extractor.empty()) {
    server->extractor_ = std::make_unique<Extractor>(options.extractor);
  }
  server->queue_ = std::make_unique<WorkQueue>(
      options.queue,
      // Of LibTorch and OpenMP, whose number of threads is each thread's own.
      [](int) { static_cast<void>(SetThreads(1)); },
      [server = server.get()](int worker, absl::Span<const std::shared_ptr<Job>> jobs) {
        try {
          RunJobs(worker, server->options_.queue.max_batch, jobs, server->counters_);
        } catch (const std::exception& exception) {  // out of memory, far from LibTorch
          for (const std::shared_ptr<Job>& job : jobs) {
            job->Finish(StatusFromException(exception));
          }
        }
      });
  return server;
}

bool ModelServer::IsReady() const {
  if (is_stopping_) return false;
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::all_of(entries_.begin(), entries_.end(),
                     [](const auto& entry) { return entry.second.model != nullptr; });
}

bool ModelServer::IsReady(const std::string& model, const std::string& version) const {
  return !is_stopping_ && Find(model, version).ok();
}

inference::ServerMetadataResponse ModelServer::Metadata() const {
  inference::ServerMetadataResponse metadata;
  metadata.set_name("cmerc");
  metadata.set_version(kVersion);
  metadata.add_extensions("binary_tensor_data");
  metadata.add_extensions("model_repository");
  // For the page.
  if (extractor_ != nullptr) metadata.add_extensions("cmerc_extractor");
  return metadata;
}

absl::StatusOr<inference::ModelMetadataResponse> ModelServer::Metadata(
    const std::string& model, const std::string& version) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> loaded, Find(model, version));
  inference::ModelMetadataResponse metadata;
  metadata.set_name(loaded->description.name);
  metadata.add_versions(loaded->description.version);
  metadata.set_platform("cmerc");
  for (auto& tensor : InputTensors(loaded->description)) *metadata.add_inputs() = tensor;
  for (auto& tensor : OutputTensors(loaded->description)) *metadata.add_outputs() = tensor;
  return metadata;
}

absl::StatusOr<ModelInferResponse> ModelServer::Infer(const ModelInferRequest& request,
                                                      Deadline deadline) {
  ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> model,
                   Find(request.model_name(), request.model_version()));
  ASSIGN_OR_RETURN(InferInput input,
                   ReadInferRequest(request, model->description, options_.max_utterances));
  const auto job =
      std::make_shared<PredictJob>(model, input.conversations, input.explain, deadline);
  RETURN_IF_ERROR(Submit(job, deadline));
  // Written where they are asked for alone: it takes longer than all else that is written.
  const bool has_lines = std::count(input.outputs.begin(), input.outputs.end(), kPrediction) > 0;
  const std::vector<std::string> lines = has_lines ? job->Lines() : std::vector<std::string>();
  return WriteInferResponse(request, model->description, input, job->predictions(), lines);
}

absl::StatusOr<std::string> ModelServer::Predict(const std::string& model, absl::string_view lines,
                                                 bool explain, bool extract, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::shared_ptr<LoadedModel> loaded, Find(model, ""));
  std::string text(lines);
  if (extract) {
    if (extractor_ == nullptr) {
      return absl::InvalidArgumentError(
          "the server has no program that makes features; start it with --extractor=COMMAND, or "
          "send features");
    }
    ASSIGN_OR_RETURN(text, extractor_->Run(text, deadline));
  }
  std::istringstream in(text);
  JsonLinesReader reader(in, extract ? "the extractor's answer" : "the request",
                         UnknownKeys::kKeep);
  const OptionalKeys keys = options_.acting.Keys();
  std::vector<ConversationRecord> records;
  int64_t utterances = 0;
  while (true) {
    ASSIGN_OR_RETURN(std::optional<ConversationRecord> record, reader.Next());
    if (!record.has_value()) break;
    RETURN_IF_ERROR(
        Annotate(CheckKeys(*record, keys), absl::StrCat("the request, line ", reader.line())));
    utterances += record->utterances_size();
    if (utterances > options_.max_utterances) {
      return absl::InvalidArgumentError(
          absl::StrCat("the request has more than ", options_.max_utterances,
                       " utterances (--max_utterances); send fewer conversations at once"));
    }
    records.push_back(*std::move(record));
  }
  if (records.empty()) {
    return absl::InvalidArgumentError(
        "the request is empty; want JSON Lines, a conversation a line, as cmerc predict reads");
  }
  const auto job = std::make_shared<PredictJob>(loaded, std::move(records), explain, deadline);
  RETURN_IF_ERROR(Submit(job, deadline));
  return absl::StrCat(absl::StrJoin(job->Lines(), "\n"), "\n");
}

absl::StatusOr<std::unique_ptr<OpenConversation>> ModelServer::Open(const std::string& model,
                                                                    bool explain) {
  ASSIGN_OR_RETURN(std::shared_ptr<LoadedModel> loaded, Find(model, ""));
  const auto copy =
      static_cast<size_t>(counters_.open_streams()) % std::max<size_t>(1, loaded->copies.size());
  return std::make_unique<ServedConversation>(
      std::move(loaded), copy, explain, options_.max_utterances, &counters_,
      [this](const std::shared_ptr<Job>& job, Deadline deadline) { return Submit(job, deadline); });
}

inference::RepositoryIndexResponse ModelServer::Index(bool only_ready) const {
  inference::RepositoryIndexResponse index;
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [name, entry] : entries_) {
    if (only_ready && entry.model == nullptr) continue;
    auto* model = index.add_models();
    model->set_name(name);
    if (entry.model != nullptr) model->set_version(entry.model->description.version);
    model->set_state(entry.model != nullptr ? "READY" : "UNAVAILABLE");
    model->set_reason(entry.reason);
  }
  return index;
}

absl::Status ModelServer::Load(const std::string& model) {
  const std::lock_guard<std::mutex> one_at_a_time(loading_);
  std::string path;
  int version = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(model);
    if (found == entries_.end()) {
      return absl::NotFoundError(absl::StrCat("no model is called \"", model,
                                              "\"; the server was not started with it (--model)"));
    }
    path = found->second.path;
    version = found->second.loads + 1;
  }
  absl::StatusOr<std::shared_ptr<LoadedModel>> loaded =
      LoadModel(model, path, version, options_.queue.workers, options_.acting);
  counters_.AddLoad(model, loaded.ok());
  // Last of all: what models take and leave lies scattered over the heaps of many threads.
  const absl::Cleanup give_back = [] { malloc_trim(0); };
  std::shared_ptr<LoadedModel> old;  // its memory is freed when the lock is not held
  const std::lock_guard<std::mutex> lock(mutex_);
  Entry& entry = entries_[model];
  if (!loaded.ok()) {
    if (entry.model == nullptr) entry.reason = std::string(loaded.status().message());
    return Annotate(loaded.status(), absl::StrCat("model ", model));
  }
  entry.loads = version;
  old = std::exchange(entry.model, *std::move(loaded));
  entry.reason = "";
  return absl::OkStatus();
}

absl::Status ModelServer::Unload(const std::string& model) {
  std::shared_ptr<LoadedModel> old;  // its memory is freed when the lock is not held
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = entries_.find(model);
  if (found == entries_.end()) {
    return absl::NotFoundError(absl::StrCat("no model is called \"", model, "\""));
  }
  old = std::move(found->second.model);
  found->second.model = nullptr;
  found->second.reason = "it was unloaded";
  return absl::OkStatus();
}

std::string ModelServer::MetricsText() const {
  std::map<std::string, bool> ready;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [name, entry] : entries_) ready[name] = entry.model != nullptr;
  }
  return counters_.Text(queue_->waiting(), ready);
}

void ModelServer::Reload() {
  for (const auto& [name, path] : options_.models) {
    const absl::Status status = Load(name);
    if (status.ok()) {
      std::cerr << "loaded    " << name << " from " << path << "\n";
    } else {
      std::cerr << "warning: not loaded, and the one before goes on answering: "
                << Printable(status.message()) << "\n";
    }
  }
}

absl::StatusOr<std::shared_ptr<LoadedModel>> ModelServer::Find(const std::string& name,
                                                               const std::string& version) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    return absl::NotFoundError(absl::StrCat(
        "no model is called \"", name,
        "\"; there are: ", absl::StrJoin(entries_, ", ", [](std::string* out, const auto& entry) {
          absl::StrAppend(out, entry.first);
        })));
  }
  const std::shared_ptr<LoadedModel>& model = found->second.model;
  if (model == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("model ", name, " is not loaded: ", found->second.reason));
  }
  if (version.empty() || version == model->description.version) return model;
  return absl::NotFoundError(absl::StrCat("model ", name, " has version ",
                                          model->description.version, ", and not ", version,
                                          "; leave the version out to have the one there is"));
}

absl::Status ModelServer::Submit(const std::shared_ptr<Job>& job, Deadline deadline) {
  RETURN_IF_ERROR(queue_->Submit(job));
  return job->Wait(deadline);
}

}  // namespace cmerc::serving
