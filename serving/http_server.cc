#include "serving/http_server.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/status.h"
#include "serving/connections.h"
#include "serving/infer_json.h"
#include "serving/page.h"

namespace cmerc::serving {
namespace {

using httplib::Request;
using httplib::Response;

constexpr char kJson[] = "application/json";
constexpr char kBinary[] = "application/octet-stream";
constexpr char kJsonSize[] = "Inference-Header-Content-Length";
constexpr size_t kMaxPath = 1024;
// What is read of whoever has not shown the token, so that the answer arrives.
constexpr size_t kMaxUnknownBody = size_t{1} << 20;

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 405;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

// Answers, and closes the connection: what is left of the request on it must not be taken for
// another one.
void RefuseAndClose(int status, const std::string& message, Response& response) {
  response.status = status;
  response.set_header("Connection", "close");
  const std::string body = ErrorToJson(message);
  response.set_content_provider(body.size(), kJson,
                                [body](size_t offset, size_t size, httplib::DataSink& sink) {
                                  sink.write(body.data() + offset, size);
                                  return false;  // an answer that fails is the last one
                                });
}

void Answer(const absl::Status& status, Response& response) {
  response.status = HttpStatusOf(status.code());
  if (response.status == 401) response.set_header("WWW-Authenticate", "Bearer");
  if (response.status == 429 || response.status == 503) response.set_header("Retry-After", "1");
  response.set_content(ErrorToJson(status.message()), kJson);
}

// The one value of the header as a number. InvalidArgument: it is none, or there are several.
absl::StatusOr<std::optional<size_t>> NumberHeader(const Request& request, const char* name) {
  const size_t count = request.get_header_value_count(name);
  if (count == 0) return std::optional<size_t>();
  const std::string text = request.get_header_value(name);
  uint64_t number = 0;
  if (count == 1 && !text.empty() && text.find_first_not_of("0123456789") == std::string::npos &&
      absl::SimpleAtoi(text, &number)) {
    return std::optional<size_t>(number);
  }
  return absl::InvalidArgumentError(absl::StrCat("the header ", name, " must be one number"));
}

bool IsTrueParam(const Request& request, const char* name) {
  return request.has_param(name) && request.get_param_value(name) == "true";
}

// The host of "name:port", "[::1]:port" or "http://name:port".
std::string HostOf(absl::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme != absl::string_view::npos) text.remove_prefix(scheme + 3);
  if (absl::StartsWith(text, "[")) {
    return std::string(text.substr(1, text.find(']') == absl::string_view::npos
                                          ? absl::string_view::npos
                                          : text.find(']') - 1));
  }
  return std::string(text.substr(0, text.find(':')));
}

}  // namespace

bool IsLoopback(const std::string& host) {
  in_addr address{};
  if (inet_pton(AF_INET, host.c_str(), &address) == 1) return ntohl(address.s_addr) >> 24 == 127;
  return host == "localhost" || host == "::1";
}

bool HasToken(const std::string& authorization, const std::string& token) {
  const std::string wanted = absl::StrCat("Bearer ", token);
  unsigned char difference = authorization.size() == wanted.size() ? 0 : 1;
  for (size_t i = 0; i < authorization.size(); ++i) {
    difference |= static_cast<unsigned char>(authorization[i] ^ wanted[i % wanted.size()]);
  }
  return difference == 0;
}

class HttpServer::Impl {
 public:
  Impl(const ListenOptions& options, Service* service) : options_(options), service_(*service) {}

  absl::Status Start() {
    if (options_.tls_cert.empty()) {
      server_ = std::make_unique<httplib::Server>();
    } else {
      server_ =
          std::make_unique<httplib::SSLServer>(options_.tls_cert.c_str(), options_.tls_key.c_str());
      if (!server_->is_valid()) {
        return absl::InvalidArgumentError(
            absl::StrCat("--tls_cert=", options_.tls_cert, ", --tls_key=", options_.tls_key,
                         ": cannot be used; want a chain of certificates and the key of the first, "
                         "in PEM"));
      }
    }
    server_->new_task_queue = [most = options_.max_connections] {
      return new Connections(static_cast<size_t>(most));
    };
    server_->set_tcp_nodelay(true);
    // Not SO_REUSEPORT, httplib's own choice: two servers would take turns without a word.
    server_->set_socket_options([this](int socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
      listening_ = socket;
    });
    server_->set_keep_alive_max_count(1000000);
    server_->set_keep_alive_timeout(options_.silence.count());
    server_->set_read_timeout(options_.silence);
    server_->set_write_timeout(options_.silence);
    server_->set_payload_max_length(options_.max_body);
    server_->set_pre_routing_handler([this](const Request& request, Response& response) {
      return IsRefused(request, response) ? httplib::Server::HandlerResponse::Handled
                                          : httplib::Server::HandlerResponse::Unhandled;
    });
    server_->Get("/.*", [this](const Request& request, Response& response) {
      Handle(request, response, std::string());
    });
    server_->Post("/.*", [this](const Request& request, Response& response,
                                const httplib::ContentReader& reader) {
      std::string body;
      if (ReadBody(request, reader, &body, response)) Handle(request, response, body);
    });
    server_->set_exception_handler([](const Request&, Response& response,
                                      const std::exception_ptr&) {
      Answer(absl::ResourceExhaustedError("the request takes more memory than there is"), response);
    });
    server_->set_error_handler([](const Request&, Response& response) {
      if (response.body.empty() && !response.content_provider_) {
        response.set_content(
            ErrorToJson(absl::StrCat("the request cannot be read as HTTP (", response.status, ")")),
            kJson);
      }
    });
    return Listen();
  }

  int port() const { return port_; }

  void Stop() {
    const std::lock_guard<std::mutex> lock(stopping_);
    if (!thread_.joinable()) return;
    server_->stop();
    thread_.join();
  }

 private:
  using Path = std::vector<std::string>;

  absl::Status Listen() {
    port_ = options_.port;
    const bool bound = options_.port == 0 ? (port_ = server_->bind_to_any_port(options_.host)) > 0
                                          : server_->bind_to_port(options_.host, options_.port);
    if (!bound) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen at ", options_.host, ", port ", options_.port,
                       ": another program does, or the address is not this machine's; choose "
                       "another with --http_port or --host"));
    }
    // httplib lets five wait to be accepted; clients that come at once would be reset.
    listen(listening_, SOMAXCONN);
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    while (!server_->is_running()) std::this_thread::yield();
    return absl::OkStatus();
  }

  // Refuses what must not be read at all.
  bool IsRefused(const Request& request, Response& response) const {
    if (Connections::IsTooMany()) {
      response.set_header("Retry-After", "1");
      RefuseAndClose(429,
                     absl::StrCat(options_.max_connections,
                                  " connections are open already (--max_connections)"),
                     response);
      return true;
    }
    if (request.path.size() > kMaxPath) {
      RefuseAndClose(414, "the path is too long", response);
      return true;
    }
    if (request.method != "GET" && request.method != "HEAD" && request.method != "POST") {
      RefuseAndClose(405, "the method must be GET or POST", response);
      return true;
    }
    // A page of somebody else in the user's browser must not use a server without a token.
    if (options_.token.empty()) {
      const std::string host = HostOf(request.get_header_value("Host"));
      const std::string origin = request.get_header_value("Origin");
      if ((!host.empty() && !IsLoopback(host)) || (!origin.empty() && HostOf(origin) != host)) {
        RefuseAndClose(403,
                       "without a token only requests to localhost are answered, and none from "
                       "pages of other servers",
                       response);
        return true;
      }
    }
    if (request.method != "POST" && request.has_header("Content-Length") &&
        request.get_header_value("Content-Length") != "0") {
      RefuseAndClose(400, "a GET has no body", response);
      return true;
    }
    return false;
  }

  bool IsKnown(const Request& request) const {
    return options_.token.empty() ||
           HasToken(request.get_header_value("Authorization"), options_.token);
  }

  // Reads the body of a POST, or answers why not, and returns whether it did.
  bool ReadBody(const Request& request, const httplib::ContentReader& reader, std::string* body,
                Response& response) const {
    if (request.has_header("Transfer-Encoding")) {
      RefuseAndClose(411, "the body must come with its Content-Length, not in chunks", response);
      return false;
    }
    const std::string encoding = request.get_header_value("Content-Encoding");
    if (!encoding.empty() && encoding != "identity") {
      RefuseAndClose(415, "the body must not be compressed (Content-Encoding)", response);
      return false;
    }
    const absl::StatusOr<std::optional<size_t>> size = NumberHeader(request, "Content-Length");
    if (!size.ok()) {
      RefuseAndClose(400, std::string(size.status().message()), response);
      return false;
    }
    // Such a request has no body: httplib would wait for the end of the connection.
    if (!size->has_value()) return true;
    const size_t most = IsKnown(request) ? options_.max_body : kMaxUnknownBody;
    if (**size > most) {
      RefuseAndClose(413,
                     absl::StrCat("the body has ", **size, " bytes, and at most ", most,
                                  " are read (--max_body_mb)"),
                     response);
      return false;
    }
    // At once, up to what may well be no more than a claim.
    body->reserve(std::min(**size, kMaxUnknownBody));
    const Deadline deadline = std::chrono::steady_clock::now() + options_.timeout;
    const bool complete = reader([&](const char* data, size_t length) {
      body->append(data, length);
      return std::chrono::steady_clock::now() < deadline;
    });
    if (complete && body->size() == **size) return true;
    const bool late = std::chrono::steady_clock::now() >= deadline;
    RefuseAndClose(late ? 408 : 400,
                   absl::StrCat("the body ended after ", body->size(), " of ", **size, " bytes",
                                late ? ": it came too slowly (--timeout_s)" : ""),
                   response);
    return false;
  }

  void Handle(const Request& request, Response& response, const std::string& body) {
    const auto begin = std::chrono::steady_clock::now();
    const Path path = absl::StrSplit(request.path, '/', absl::SkipEmpty());
    std::string what = "other";
    absl::Status status = Route(request, path, body, &what, response);
    if (!status.ok()) Answer(status, response);
    if (response.status < 0) response.status = 200;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    service_.counters().AddRequest("http", what, absl::StatusCodeToString(status.code()),
                                   seconds.count());
  }

  absl::Status Route(const Request& request, const Path& path, const std::string& body,
                     std::string* what, Response& response) {
    if (path.empty()) {
      response.set_header("Content-Security-Policy",
                          "default-src 'none'; style-src 'unsafe-inline'; script-src "
                          "'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; "
                          "form-action 'none'; frame-ancestors 'none'");
      response.set_header("X-Content-Type-Options", "nosniff");
      response.set_content(kPage, "text/html; charset=utf-8");
      return absl::OkStatus();
    }
    // Who watches over servers asks without a token.
    if (path == Path{"v2", "health", "live"}) return absl::OkStatus();
    if (path == Path{"v2", "health", "ready"}) return Ready(service_.IsReady());
    if (!IsKnown(request)) {
      return absl::UnauthenticatedError(
          "want the header \"Authorization: Bearer TOKEN\" with the server's token (--token_file)");
    }
    if (path == Path{"metrics"}) {
      response.set_content(service_.MetricsText(), "text/plain; version=0.0.4");
      return absl::OkStatus();
    }
    if (path == Path{"v2"}) {
      response.set_content(ToJson(service_.Metadata()), kJson);
      return absl::OkStatus();
    }
    const bool posts = request.method == "POST";
    if (path.size() >= 3 && path[0] == "v2" && path[1] == "models") {
      return OfModel(request, path, body, what, response);
    }
    if (path.size() == 4 && path[0] == "cmerc" && path[1] == "models" && path[3] == "predict" &&
        posts) {
      *what = "predict";
      ASSIGN_OR_RETURN(std::string lines,
                       service_.Predict(path[2], body, IsTrueParam(request, "explain"),
                                        IsTrueParam(request, "extract"), Until()));
      response.set_content(lines, "application/jsonl");
      return absl::OkStatus();
    }
    if (path == Path{"v2", "repository", "index"} && posts) {
      response.set_content(ToJson(service_.Index(/*only_ready=*/false)), kJson);
      return absl::OkStatus();
    }
    if (path.size() == 5 && path[0] == "v2" && path[1] == "repository" && path[2] == "models" &&
        posts && (path[4] == "load" || path[4] == "unload")) {
      RETURN_IF_ERROR(path[4] == "load" ? service_.Load(path[3]) : service_.Unload(path[3]));
      response.set_content("{}", kJson);
      return absl::OkStatus();
    }
    return NoSuchPath(request);
  }

  // v2/models/NAME, v2/models/NAME/versions/VERSION, and /ready or /infer behind either.
  absl::Status OfModel(const Request& request, Path path, const std::string& body,
                       std::string* what, Response& response) {
    const std::string name = path[2];
    path.erase(path.begin(), path.begin() + 3);
    std::string version;
    if (path.size() >= 2 && path[0] == "versions") {
      version = path[1];
      path.erase(path.begin(), path.begin() + 2);
    }
    if (path.empty()) {
      ASSIGN_OR_RETURN(const inference::ModelMetadataResponse metadata,
                       service_.Metadata(name, version));
      response.set_content(ToJson(metadata), kJson);
      return absl::OkStatus();
    }
    if (path == Path{"ready"}) return Ready(service_.IsReady(name, version));
    if (path != Path{"infer"} || request.method != "POST") return NoSuchPath(request);
    *what = "infer";
    ASSIGN_OR_RETURN(const std::optional<size_t> json_size, NumberHeader(request, kJsonSize));
    ASSIGN_OR_RETURN(inference::ModelInferRequest infer, InferRequestFromJson(body, json_size));
    infer.set_model_name(name);
    infer.set_model_version(version);
    ASSIGN_OR_RETURN(const inference::ModelInferResponse answer, service_.Infer(infer, Until()));
    InferAnswer json = InferResponseToJson(infer, answer);
    if (json.json_size.has_value()) {
      response.set_header(kJsonSize, absl::StrCat(*json.json_size));
    }
    response.set_content(json.body, json.json_size.has_value() ? kBinary : kJson);
    return absl::OkStatus();
  }

  static absl::Status Ready(bool ready) {
    return ready ? absl::OkStatus() : absl::UnavailableError("not ready");
  }

  static absl::Status NoSuchPath(const Request& request) {
    return absl::NotFoundError(absl::StrCat("there is no ", request.method, " ",
                                            request.path.substr(0, 100),
                                            "; docs/serve.md lists what there is"));
  }

  Deadline Until() const { return std::chrono::steady_clock::now() + options_.timeout; }

  const ListenOptions options_;
  Service& service_;
  std::unique_ptr<httplib::Server> server_;
  int listening_ = -1;  // the socket
  std::mutex stopping_;
  std::thread thread_;
  int port_ = 0;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { Stop(); }

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const ListenOptions& options,
                                                              Service* service) {
  auto impl = std::make_unique<Impl>(options, service);
  RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const { return impl_->port(); }
void HttpServer::Stop() { impl_->Stop(); }

}  // namespace cmerc::serving
