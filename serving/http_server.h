// The server's HTTP: the Open Inference Protocol, `cmerc predict` as a request, metrics and the
// page.
#ifndef CMERC_SERVING_HTTP_SERVER_H_
#define CMERC_SERVING_HTTP_SERVER_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "serving/service.h"

namespace cmerc::serving {

// What HTTP and gRPC have in common.
struct ListenOptions {
  std::string host = "127.0.0.1";
  int port = 0;       // 0: any that is free
  std::string token;  // "": none is asked for
  // The certificates and the key, in PEM; "": without TLS.
  std::string tls_cert, tls_key;
  size_t max_body = size_t{64} << 20;  // bytes of a request
  std::chrono::milliseconds timeout{30000};
  // A connection of HTTP without a request for as long is closed, and one that is silent within
  // one.
  std::chrono::seconds silence{5};
  int max_connections = 128;       // of HTTP
  int max_streams = 64;            // of gRPC: conversations that go on
  std::chrono::seconds idle{600};  // a conversation that rests as long is ended
};

// Whether `host` is this machine alone: a name or an address of the loopback.
bool IsLoopback(const std::string& host);

// Whether a header or metadata "Authorization: Bearer ..." has the token; compared in a time that
// does not depend on where they differ.
bool HasToken(const std::string& authorization, const std::string& token);

class HttpServer {
 public:
  // Listens and answers. `service` must outlive this. InvalidArgument: the certificate or its key
  // cannot be used; Unavailable: somebody else listens there, or the address is not this machine's.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const ListenOptions& options,
                                                           Service* service);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  int port() const;
  // Takes no more connections and waits until those that there are have had their answers.
  void Stop();

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_HTTP_SERVER_H_
