#include "serving/model_server.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <iostream>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bin/environment.h"
#include "bin/predict_options.h"
#include "bin/version.h"
#include "calibration/ongoing_conversation.h"
#include "calibration/prediction_text.h"
#include "core/printable.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "datasets/assembly/conversation_tensors.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/json_lines.h"
#include "serving/infer_tensors.h"

namespace cmerc::serving {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;

// Conversations of one request, to be predicted as wholes.
class PredictJob final : public Job {
 public:
  PredictJob(std::shared_ptr<LoadedModel> model, std::vector<ConversationRecord> records,
             bool explain, Deadline deadline)
      : model_(std::move(model)),
        records_(std::move(records)),
        explain_(explain),
        deadline_(deadline) {}

  const void* group() const override { return model_.get(); }
  size_t weight() const override { return records_.size(); }

  const std::shared_ptr<LoadedModel>& model() const { return model_; }
  const std::vector<ConversationRecord>& records() const { return records_; }
  bool explain() const { return explain_; }
  Deadline deadline() const { return deadline_; }
  std::vector<Conversation>& conversations() { return conversations_; }
  std::vector<PredictedConversation>& predictions() { return predictions_; }

  // The answers as lines of JSON, and their names in the predictions.
  std::vector<std::string> Lines() {
    std::vector<std::string> lines;
    for (size_t i = 0; i < records_.size(); ++i) {
      const CarriedAlong carried = Name(records_[i], &predictions_[i]);
      lines.push_back(PredictionToJson(predictions_[i], carried));
    }
    return lines;
  }

 private:
  const std::shared_ptr<LoadedModel> model_;
  const std::vector<ConversationRecord> records_;
  const bool explain_;
  const Deadline deadline_;
  std::vector<Conversation> conversations_;
  std::vector<PredictedConversation> predictions_;
};

// Anything else that a worker does for a request.
class CallJob final : public Job {
 public:
  explicit CallJob(std::function<absl::Status()> call) : call_(std::move(call)) {}
  void Call() { Finish(call_()); }

 private:
  const std::function<absl::Status()> call_;
};

// Makes tensors of the records of a job.
absl::Status Prepare(PredictJob& job, const Predictor& predictor) {
  for (const ConversationRecord& record : job.records()) {
    const std::string place = absl::StrCat("conversation ", record.id());
    ASSIGN_OR_RETURN(Conversation conversation,
                     Annotate(ToConversation(record, predictor.info()), place));
    RETURN_IF_ERROR(Annotate(predictor.Check(conversation), place));
    job.conversations().push_back(std::move(conversation));
  }
  return absl::OkStatus();
}

// Predicts the conversations of a job one by one, as `cmerc predict` does those of a stream: the
// answers do not depend, not by a bit, on what else the server has to do.
absl::Status PredictOneByOne(PredictJob& job, Predictor& predictor, Counters& counters) {
  const LoadedModel& model = *job.model();
  const std::vector<View> views = job.explain() ? model.views : std::vector<View>();
  job.predictions().clear();
  for (const Conversation& conversation : job.conversations()) {
    if (std::chrono::steady_clock::now() > job.deadline()) {
      return absl::DeadlineExceededError("the time of the request was over before its end");
    }
    ASSIGN_OR_RETURN(std::vector<PredictedConversation> predictions,
                     predictor.Predict({conversation}, views));
    counters.AddPredicted(model.description.name, 1, predictions[0].utterances_size());
    job.predictions().push_back(std::move(predictions[0]));
  }
  return absl::OkStatus();
}

// Predicts the conversations of all jobs in one pass.
absl::Status PredictTogether(const std::vector<PredictJob*>& jobs, Predictor& predictor,
                             Counters& counters) {
  const LoadedModel& model = *jobs[0]->model();
  std::vector<Conversation> all;
  for (PredictJob* job : jobs) {
    all.insert(all.end(), job->conversations().begin(), job->conversations().end());
  }
  ASSIGN_OR_RETURN(
      std::vector<PredictedConversation> predictions,
      predictor.Predict(all, jobs[0]->explain() ? model.views : std::vector<View>()));
  int64_t utterances = 0;
  size_t next = 0;
  for (PredictJob* job : jobs) {
    for (size_t i = 0; i < job->conversations().size(); ++i, ++next) {
      utterances += predictions[next].utterances_size();
      job->predictions().push_back(std::move(predictions[next]));
    }
  }
  counters.AddPredicted(model.description.name, static_cast<int64_t>(all.size()), utterances);
  return absl::OkStatus();
}

// Predicts jobs of one model, those that ask for the same in one pass where `together` allows it.
void RunPredictJobs(const std::vector<PredictJob*>& jobs, bool together, Predictor& predictor,
                    Counters& counters) {
  std::vector<PredictJob*> plain, explained;
  for (PredictJob* job : jobs) {
    const absl::Status prepared = Prepare(*job, predictor);
    if (!prepared.ok()) {
      job->Finish(prepared);
    } else if (!together) {
      job->Finish(PredictOneByOne(*job, predictor, counters));
    } else {
      (job->explain() ? explained : plain).push_back(job);
    }
  }
  for (const std::vector<PredictJob*>& group : {plain, explained}) {
    if (group.empty()) continue;
    const absl::Status status = PredictTogether(group, predictor, counters);
    for (PredictJob* job : group) {
      // What one of them is refused for is not for the others to suffer.
      job->Finish(status.ok() ? status : PredictOneByOne(*job, predictor, counters));
    }
  }
}

// What a worker does with jobs that are all of one kind.
void RunJobs(int worker, size_t max_batch, absl::Span<const std::shared_ptr<Job>> jobs,
             Counters& counters) {
  std::vector<PredictJob*> predict_jobs;
  for (const std::shared_ptr<Job>& job : jobs) {
    if (auto* predict = dynamic_cast<PredictJob*>(job.get())) {
      predict_jobs.push_back(predict);
    } else {
      static_cast<CallJob&>(*job).Call();
    }
  }
  if (predict_jobs.empty()) return;
  const LoadedModel& model = *predict_jobs[0]->model();
  Copy& copy = *model.copies[static_cast<size_t>(worker)];
  const std::lock_guard<std::mutex> lock(copy.mutex);
  RunPredictJobs(predict_jobs, max_batch > 1 && !model.batch_mates_matter, copy.predictor,
                 counters);
}

// An utterance of a request as a conversation of it alone.
absl::StatusOr<ConversationRecord> RecordOf(const ConverseRequest& request,
                                            const ModelDescription& model) {
  if (!request.has_speaker()) return absl::InvalidArgumentError("speaker is missing");
  ConversationRecord record;
  record.set_id("stream");
  ConversationRecord::Utterance* utterance = record.add_utterances();
  utterance->set_speaker(request.speaker());
  if (request.has_id()) utterance->set_id(request.id());
  for (const ConverseRequest::Features& features : request.features()) {
    const auto is_it = [&](const auto& one) { return one.name == features.modality(); };
    const auto modality =
        std::find_if(model.modalities.begin(), model.modalities.end(), is_it);
    if (modality == model.modalities.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "features of \"", features.modality(), "\": the model has ",
          absl::StrJoin(model.modalities, ", ",
                        [](std::string* out, const auto& one) { absl::StrAppend(out, one.name); })));
    }
    if (features.values_size() != modality->width * modality->streams) {
      return absl::InvalidArgumentError(
          absl::StrCat("features of \"", features.modality(), "\" are ", features.values_size(),
                       " numbers, want ", modality->width * modality->streams));
    }
    ConversationRecord::Modality* added = record.add_modalities();
    added->set_name(modality->name);
    added->set_width(static_cast<int32_t>(modality->width));
    const float* next = features.values().data();
    for (int64_t s = 0; s < modality->streams; ++s, next += modality->width) {
      added->add_streams()->mutable_values()->Add(next, next + modality->width);
    }
  }
  RETURN_IF_ERROR(CheckRecord(record));
  return record;
}

}  // namespace

// A conversation that goes on keeps to one copy of the model, the one that it began with.
class ServedConversation final : public OpenConversation {
 public:
  using SubmitJob = std::function<absl::Status(const std::shared_ptr<Job>&, Deadline)>;

  ServedConversation(std::shared_ptr<LoadedModel> model, size_t copy, bool explain,
                     int64_t max_utterances, Counters* counters, SubmitJob submit)
      : state_(std::make_shared<State>(std::move(model), copy, explain)),
        max_utterances_(max_utterances),
        counters_(counters),
        submit_(std::move(submit)) {}

  absl::StatusOr<ConverseResponse> Push(const ConverseRequest& request,
                                        Deadline deadline) override {
    const ModelDescription& description = state_->model->description;
    ASSIGN_OR_RETURN(const ConversationRecord record, RecordOf(request, description));
    if (state_->conversation.length() >= max_utterances_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the conversation has ", max_utterances_,
                       " utterances, and one may have no more (--max_utterances)"));
    }
    // Shared: a job that was given up may still run when this returns.
    auto answer = std::make_shared<ConverseResponse>();
    auto job = std::make_shared<CallJob>([state = state_, record, answer, counters = counters_] {
      Copy& copy = *state->model->copies[state->copy];
      const std::lock_guard<std::mutex> lock(copy.mutex);
      ASSIGN_OR_RETURN(Conversation utterance, ToConversation(record, copy.predictor.info()));
      const int64_t number = state->conversation.length();
      ASSIGN_OR_RETURN(PredictedUtterance predicted,
                       state->conversation.Push(copy.predictor, std::move(utterance),
                                                record.utterances(0).speaker()));
      counters->AddPredicted(state->model->description.name, 0, 1);
      PredictedConversation named;
      *named.add_utterances() = std::move(predicted);
      Name(record, &named);
      answer->set_number(number);
      *answer->mutable_utterance() = std::move(*named.mutable_utterances(0));
      return absl::OkStatus();
    });
    RETURN_IF_ERROR(submit_(job, deadline));
    return *answer;
  }

 private:
  struct State {
    State(std::shared_ptr<LoadedModel> loaded, size_t which, bool explain)
        : model(std::move(loaded)),
          copy(which),
          conversation(explain ? model->views : std::vector<View>()) {}
    const std::shared_ptr<LoadedModel> model;
    const size_t copy;
    OngoingConversation conversation;
  };

  const std::shared_ptr<State> state_;
  const int64_t max_utterances_;
  Counters* const counters_;
  const SubmitJob submit_;
};

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
  const std::vector<std::string> lines = job->Lines();
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
        "no model is called \"", name, "\"; there are: ",
        absl::StrJoin(entries_, ", ", [](std::string* out, const auto& entry) {
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
