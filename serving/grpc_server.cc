#include "serving/grpc_server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/status.h"
#include "serving/conversation_service.grpc.pb.h"
#include "serving/open_inference.grpc.pb.h"

namespace cmerc::serving {
namespace {

using grpc::ServerContext;
using std::chrono::steady_clock;

grpc::Status ToGrpc(const absl::Status& status) {
  // The two libraries number codes alike.
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

// Whether the call has the token.
absl::Status CheckToken(const ServerContext& context, const std::string& token) {
  if (token.empty()) return absl::OkStatus();
  const auto found = context.client_metadata().find("authorization");
  if (found != context.client_metadata().end() &&
      HasToken(std::string(found->second.data(), found->second.size()), token)) {
    return absl::OkStatus();
  }
  return absl::UnauthenticatedError(
      "want the metadata \"authorization: Bearer TOKEN\" with the server's token (--token_file)");
}

// Until when the client waits, but no longer than `most`.
Deadline DeadlineOf(const ServerContext& context, std::chrono::milliseconds most) {
  const std::chrono::system_clock::duration left =
      context.deadline() - std::chrono::system_clock::now();
  return steady_clock::now() +
         std::min<std::chrono::system_clock::duration>(
             most, std::max(left, std::chrono::system_clock::duration::zero()));
}

// What every call has in common: the token, and that it is counted.
class Calls {
 public:
  Calls(const ListenOptions& options, Service* service) : options(options), service(*service) {}

  template <typename Call>
  grpc::Status Make(const ServerContext& context, const char* what, const Call& call) {
    const auto begin = steady_clock::now();
    absl::Status status = CheckToken(context, options.token);
    try {
      if (status.ok()) status = call();
    } catch (const std::bad_alloc&) {
      status = absl::ResourceExhaustedError("the request takes more memory than there is");
    }
    const std::chrono::duration<double> seconds = steady_clock::now() - begin;
    service.counters().AddRequest("grpc", what, absl::StatusCodeToString(status.code()),
                                  seconds.count());
    return ToGrpc(status);
  }

  const ListenOptions options;
  Service& service;
};

class Inference final : public inference::GRPCInferenceService::Service {
 public:
  explicit Inference(Calls* calls) : calls_(*calls) {}

  grpc::Status ServerLive(ServerContext*, const inference::ServerLiveRequest*,
                          inference::ServerLiveResponse* response) override {
    response->set_live(true);
    return grpc::Status::OK;
  }

  grpc::Status ServerReady(ServerContext*, const inference::ServerReadyRequest*,
                           inference::ServerReadyResponse* response) override {
    response->set_ready(calls_.service.IsReady());
    return grpc::Status::OK;
  }

  grpc::Status ModelReady(ServerContext* context, const inference::ModelReadyRequest* request,
                          inference::ModelReadyResponse* response) override {
    return calls_.Make(*context, "other", [&] {
      response->set_ready(calls_.service.IsReady(request->name(), request->version()));
      return absl::OkStatus();
    });
  }

  grpc::Status ServerMetadata(ServerContext* context, const inference::ServerMetadataRequest*,
                              inference::ServerMetadataResponse* response) override {
    return calls_.Make(*context, "other", [&] {
      *response = calls_.service.Metadata();
      return absl::OkStatus();
    });
  }

  grpc::Status ModelMetadata(ServerContext* context, const inference::ModelMetadataRequest* request,
                             inference::ModelMetadataResponse* response) override {
    return calls_.Make(*context, "other", [&]() -> absl::Status {
      ASSIGN_OR_RETURN(*response, calls_.service.Metadata(request->name(), request->version()));
      return absl::OkStatus();
    });
  }

  grpc::Status ModelInfer(ServerContext* context, const inference::ModelInferRequest* request,
                          inference::ModelInferResponse* response) override {
    return calls_.Make(*context, "infer", [&]() -> absl::Status {
      ASSIGN_OR_RETURN(
          *response, calls_.service.Infer(*request, DeadlineOf(*context, calls_.options.timeout)));
      return absl::OkStatus();
    });
  }

  grpc::Status RepositoryIndex(ServerContext* context,
                               const inference::RepositoryIndexRequest* request,
                               inference::RepositoryIndexResponse* response) override {
    return calls_.Make(*context, "other", [&] {
      *response = calls_.service.Index(request->ready());
      return absl::OkStatus();
    });
  }

  grpc::Status RepositoryModelLoad(ServerContext* context,
                                   const inference::RepositoryModelLoadRequest* request,
                                   inference::RepositoryModelLoadResponse*) override {
    return calls_.Make(*context, "other", [&]() -> absl::Status {
      if (request->parameters_size() > 0) {
        return absl::InvalidArgumentError(
            "parameters are not taken: a model is loaded from the file that the server was started "
            "with");
      }
      return calls_.service.Load(request->model_name());
    });
  }

  grpc::Status RepositoryModelUnload(ServerContext* context,
                                     const inference::RepositoryModelUnloadRequest* request,
                                     inference::RepositoryModelUnloadResponse*) override {
    return calls_.Make(*context, "other",
                       [&] { return calls_.service.Unload(request->model_name()); });
  }

 private:
  Calls& calls_;
};

// The streams that are open. A thread ends those that rest for too long, since nothing else can
// interrupt the wait for a request.
class Streams {
 public:
  Streams(const ListenOptions& options, Counters* counters)
      : idle_(options.idle), most_(options.max_streams), counters_(*counters) {
    watcher_ = std::thread([this] { Watch(); });
  }
  ~Streams() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      is_over_ = true;
    }
    ends_.notify_all();
    watcher_.join();
  }

  absl::Status Add(ServerContext* context) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (is_stopping_) return absl::UnavailableError("the server is about to stop");
    if (static_cast<int>(streams_.size()) >= most_) {
      return absl::ResourceExhaustedError(
          absl::StrCat(most_, " conversations are open already (--max_streams); try again later"));
    }
    streams_[context] = steady_clock::now();
    counters_.AddOpenStreams(1);
    return absl::OkStatus();
  }
  void Remove(ServerContext* context) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (streams_.erase(context) > 0) counters_.AddOpenStreams(-1);
  }
  // From now on the stream is at work, or rests.
  void Work(ServerContext* context) {
    const std::lock_guard<std::mutex> lock(mutex_);
    streams_[context] = std::nullopt;
  }
  void Rest(ServerContext* context) {
    const std::lock_guard<std::mutex> lock(mutex_);
    streams_[context] = steady_clock::now();
    if (is_stopping_) context->TryCancel();
  }

  // Ends those that rest, and others as soon as they do.
  void Stop() {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_stopping_ = true;
    for (const auto& [context, since] : streams_) {
      if (since.has_value()) context->TryCancel();
    }
  }

 private:
  void Watch() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!ends_.wait_for(lock, std::chrono::seconds(1), [this] { return is_over_; })) {
      for (const auto& [context, since] : streams_) {
        if (since.has_value() && steady_clock::now() - *since > idle_) context->TryCancel();
      }
    }
  }

  const std::chrono::seconds idle_;
  const int most_;
  Counters& counters_;
  std::mutex mutex_;
  std::condition_variable ends_;
  std::map<ServerContext*, std::optional<steady_clock::time_point>> streams_;  // absent: at work
  bool is_stopping_ = false;
  bool is_over_ = false;
  std::thread watcher_;
};

class Conversations final : public ConversationService::Service {
 public:
  Conversations(Calls* calls, Streams* streams) : calls_(*calls), streams_(*streams) {}

  grpc::Status Converse(
      ServerContext* context,
      grpc::ServerReaderWriter<ConverseResponse, ConverseRequest>* stream) override {
    return calls_.Make(*context, "converse", [&]() -> absl::Status {
      RETURN_IF_ERROR(streams_.Add(context));
      const absl::Status status = Answer(*context, *stream);
      streams_.Remove(context);
      return status;
    });
  }

 private:
  absl::Status Answer(ServerContext& context,
                      grpc::ServerReaderWriter<ConverseResponse, ConverseRequest>& stream) {
    std::unique_ptr<OpenConversation> conversation;
    std::string model;
    bool explain = false;
    ConverseRequest request;
    while (stream.Read(&request)) {
      streams_.Work(&context);
      if (conversation == nullptr) {
        model = request.model();
        explain = request.explain();
        ASSIGN_OR_RETURN(conversation, calls_.service.Open(model, explain));
      } else if ((request.has_model() && request.model() != model) ||
                 (request.has_explain() && request.explain() != explain)) {
        return absl::InvalidArgumentError(
            "model and explain are said by the first request, and stay for the conversation");
      }
      ASSIGN_OR_RETURN(const ConverseResponse response,
                       conversation->Push(request, DeadlineOf(context, calls_.options.timeout)));
      if (!stream.Write(response)) break;
      streams_.Rest(&context);
    }
    if (!context.IsCancelled()) return absl::OkStatus();
    return absl::CancelledError("the conversation rested for too long, or the client is gone");
  }

  Calls& calls_;
  Streams& streams_;
};

absl::StatusOr<std::string> ReadPem(const std::string& flag, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (file) return text.str();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, "=", path, " cannot be read"));
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> Credentials(const ListenOptions& options) {
  if (options.tls_cert.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions tls;
  ASSIGN_OR_RETURN(const std::string key, ReadPem("tls_key", options.tls_key));
  ASSIGN_OR_RETURN(const std::string certificates, ReadPem("tls_cert", options.tls_cert));
  tls.pem_key_cert_pairs.push_back({key, certificates});
  return grpc::SslServerCredentials(tls);
}

}  // namespace

class GrpcServer::Impl {
 public:
  Impl(const ListenOptions& options, Service* service)
      : options_(options),
        calls_(options, service),
        streams_(options, &service->counters()),
        inference_(&calls_),
        conversations_(&calls_, &streams_) {}

  absl::Status Start() {
    grpc::ServerBuilder builder;
    ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials,
                     Credentials(options_));
    const std::string host = options_.host.find(':') == std::string::npos
                                 ? options_.host
                                 : absl::StrCat("[", options_.host, "]");
    builder.AddListeningPort(absl::StrCat(host, ":", options_.port), credentials, &port_);
    builder.SetMaxReceiveMessageSize(static_cast<int>(options_.max_body));
    // Two servers would take turns without a word.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    grpc::ResourceQuota quota("cmerc");
    quota.SetMaxThreads(options_.max_connections + options_.max_streams);
    builder.SetResourceQuota(quota);
    builder.RegisterService(&inference_);
    builder.RegisterService(&conversations_);
    server_ = builder.BuildAndStart();
    if (server_ != nullptr && port_ > 0) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(
        "cannot listen at ", options_.host, ", port ", options_.port,
        " for gRPC: another program does, the address is not this machine's, or the certificate "
        "cannot be used; choose another with --grpc_port or --host"));
  }

  int port() const { return port_; }

  void Stop() {
    const std::lock_guard<std::mutex> lock(stopping_);
    if (server_ == nullptr) return;
    streams_.Stop();
    server_->Shutdown(std::chrono::system_clock::now() + options_.timeout);
    server_->Wait();
    server_ = nullptr;
  }

 private:
  const ListenOptions options_;
  Calls calls_;
  Streams streams_;
  Inference inference_;
  Conversations conversations_;
  std::mutex stopping_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrpcServer::~GrpcServer() { Stop(); }

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const ListenOptions& options,
                                                              Service* service) {
  auto impl = std::make_unique<Impl>(options, service);
  RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

int GrpcServer::port() const { return impl_->port(); }
void GrpcServer::Stop() { impl_->Stop(); }

}  // namespace cmerc::serving
