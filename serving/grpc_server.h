// The server's gRPC: the Open Inference Protocol, and conversations that go on.
#ifndef CMERC_SERVING_GRPC_SERVER_H_
#define CMERC_SERVING_GRPC_SERVER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "serving/http_server.h"
#include "serving/service.h"

namespace cmerc::serving {

class GrpcServer {
 public:
  // Listens and answers. `service` must outlive this. InvalidArgument: the certificate or its key
  // cannot be read; Unavailable: somebody else listens there, the address is not this machine's, or
  // the certificate cannot be used.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const ListenOptions& options,
                                                           Service* service);
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;
  ~GrpcServer();

  int port() const;
  // Takes no more requests, waits for the answers of those that there are, and ends conversations
  // that wait for their next utterance.
  void Stop();

 private:
  class Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_GRPC_SERVER_H_
