// The HTTP server before a service without a model: every path, who is let in, and requests that
// are wrong in every way a client can be wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "serving/http_server.h"
#include "tests/serving/fake_service.h"
#include "tests/serving/raw_client.h"

namespace cmerc::serving {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kToken[] = "0123456789abcdef";

class HttpTest : public testing::Test {
 protected:
  void Start(const ListenOptions& options = {}) {
    auto server = HttpServer::Start(options, &service_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  HttpAnswer Get(const std::string& path, const std::map<std::string, std::string>& headers = {}) {
    return Ask(server_->port(), "GET", path, "", headers);
  }
  HttpAnswer Post(const std::string& path, const std::string& body,
                  const std::map<std::string, std::string>& headers = {}) {
    return Ask(server_->port(), "POST", path, body, headers);
  }
  // What comes back for exactly these bytes.
  HttpAnswer Raw(const std::string& bytes) {
    const RawClient client(server_->port());
    client.Send(bytes);
    return ParseAnswer(client.ReadAll());
  }

  FakeService service_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpTest, HasThePathsOfTheProtocol) {
  Start();
  EXPECT_EQ(Get("/v2/health/live").status, 200);
  EXPECT_EQ(Get("/v2/health/ready").status, 200);
  service_.is_ready = false;
  EXPECT_EQ(Get("/v2/health/ready").status, 503);
  EXPECT_EQ(Get("/v2").body, R"({"name":"fake","version":"","extensions":[]})");
  EXPECT_THAT(Get("/v2/models/m").body, StartsWith(R"({"name":"m","versions":["1"])"));
  EXPECT_THAT(Get("/v2/models/m/versions/3").body, HasSubstr(R"("versions":["3"])"));
  EXPECT_EQ(Get("/v2/models/m/ready").status, 200);
  EXPECT_EQ(Get("/v2/models/n/ready").status, 503);
  EXPECT_EQ(Get("/v2/models/n").status, 404);
  EXPECT_THAT(Post("/v2/repository/index", "").body, HasSubstr(R"("name":"m")"));
  EXPECT_EQ(Post("/v2/repository/models/m/load", "{}").status, 200);
  EXPECT_EQ(Post("/v2/repository/models/m/unload", "{}").status, 200);
  EXPECT_EQ(Post("/v2/repository/models/n/load", "").status, 404);
  EXPECT_THAT(Get("/metrics").body, HasSubstr("cmerc_requests_total{protocol=\"http\""));
  EXPECT_EQ(Get("/v2/models/m/infer").status, 404) << "it is for POST";
  EXPECT_THAT(Get("/nowhere").body, HasSubstr("there is no GET /nowhere"));
  const HttpAnswer page = Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, AllOf(StartsWith("<!DOCTYPE html>"), HasSubstr("</html>")));
  EXPECT_THAT(page.head, HasSubstr("Content-Security-Policy: default-src 'none'"));
}

TEST_F(HttpTest, InfersAndPredicts) {
  Start();
  const HttpAnswer json = Post(
      "/v2/models/m/infer",
      R"({"id":"9","inputs":[{"name":"a","datatype":"BYTES","shape":[2],"data":["x","yz"]}]})");
  EXPECT_EQ(json.status, 200) << json.body;
  EXPECT_EQ(json.body, R"({"model_name":"m","model_version":"","id":"9","outputs":[)"
                       R"({"name":"echo","datatype":"BYTES","shape":[2],"data":["x","yz"]}]})");
  const std::string head =
      R"({"parameters":{"binary_data_output":true},"inputs":[{"name":"a","datatype":"BYTES",)"
      R"("shape":[1],"parameters":{"binary_data_size":6}}]})";
  const std::string value = std::string("\x02\0\0\0hi", 6);
  const HttpAnswer binary = Post("/v2/models/m/infer", head + value,
                                 {{"Inference-Header-Content-Length", absl::StrCat(head.size())}});
  EXPECT_EQ(binary.status, 200) << binary.body;
  EXPECT_THAT(binary.body, testing::EndsWith(value));
  EXPECT_THAT(binary.head, HasSubstr(absl::StrCat("Inference-Header-Content-Length: ",
                                                  binary.body.size() - value.size())));
  EXPECT_EQ(Post("/cmerc/models/m/predict?explain=true", "line\n").body, "line\nexplained");
  EXPECT_EQ(Post("/cmerc/models/m/predict?extract=true", "line\n").body, "line\nextracted");
}

TEST_F(HttpTest, ErrorsHaveTheirStatusAndAMessage) {
  Start();
  const std::vector<std::pair<absl::Status, int>> cases = {
      {absl::InvalidArgumentError("bad"), 400},   {absl::NotFoundError("bad"), 404},
      {absl::ResourceExhaustedError("bad"), 429}, {absl::UnavailableError("bad"), 503},
      {absl::DeadlineExceededError("bad"), 504},  {absl::InternalError("bad"), 500}};
  for (const auto& [failure, status] : cases) {
    service_.failure = failure;
    const HttpAnswer answer = Post("/v2/models/m/infer", R"({"inputs":[]})");
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.body, R"({"error":"bad"})");
  }
}

TEST_F(HttpTest, WhatIsWrongIsRefusedAndNeverWaitedFor) {
  ListenOptions options;
  options.max_body = 1000;
  options.silence = std::chrono::seconds(1);
  Start(options);
  const std::string post = "POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost\r\n";
  const std::vector<std::pair<std::string, int>> cases = {
      {"hello\r\n\r\n", 400},
      {"\r\n\r\n", 400},
      {post + "\r\n", 400},  // no body at all
      {post + "Content-Length: 5\r\n\r\nhello", 400},
      {post + "Content-Length: 500\r\n\r\n{\"inputs\"", 400},  // cut short
      {post + "Content-Length: 1001\r\n\r\n", 413},
      {post + "Content-Length: 18446744073709551615\r\n\r\nx", 413},
      {post + "Content-Length: 99999999999999999999999\r\n\r\nx", 400},
      {post + "Content-Length: -5\r\n\r\nx", 400},
      {post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
      {post + "Content-Length: five\r\n\r\nhello", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 411},
      {post + "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", 415},
      {post + "Inference-Header-Content-Length: 99\r\nContent-Length: 2\r\n\r\n{}", 400},
      {post + "Inference-Header-Content-Length: x\r\nContent-Length: 2\r\n\r\n{}", 400},
      {absl::StrCat("GET /", std::string(3000, 'a'), " HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414},
      {"DELETE /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
      {"PUT /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 405},
      {"GET /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 400},
  };
  for (const auto& [bytes, status] : cases) {
    const HttpAnswer answer = Raw(bytes);
    EXPECT_EQ(answer.status, status) << bytes.substr(0, 300) << "\n->\n" << answer.head;
    EXPECT_THAT(answer.body, StartsWith("{\"error\":\"")) << bytes.substr(0, 300);
  }
  // One that breaks off need not be answered.
  const RawClient gone(server_->port());
  gone.Send(post + "Content-Length: 500\r\n\r\n{\"inputs\"");
  gone.EndSending();
  gone.ReadAll();
  EXPECT_EQ(Get("/v2/health/live").status, 200);
}

TEST_F(HttpTest, WhatIsLeftOfARefusedRequestIsNoRequest) {
  ListenOptions options;
  options.max_body = 10;
  Start(options);
  const RawClient client(server_->port());
  const std::string hidden =
      "POST /v2/repository/models/m/unload HTTP/1.1\r\nHost: localhost\r\n\r\n";
  client.Send(absl::StrCat(
      "POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: ", hidden.size(),
      "\r\n\r\n", hidden));
  const std::string all = client.ReadAll();
  EXPECT_THAT(all, StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(all, Not(HasSubstr("HTTP/1.1 200")));
}

TEST_F(HttpTest, WithATokenNothingButHealthAndThePageIsAnsweredWithoutIt) {
  ListenOptions options;
  options.token = kToken;
  Start(options);
  const std::map<std::string, std::string> right = {
      {"Authorization", absl::StrCat("Bearer ", kToken)}};
  for (const char* path : {"/v2", "/v2/models/m", "/metrics"}) {
    EXPECT_EQ(Get(path).status, 401) << path;
    EXPECT_EQ(Get(path, {{"Authorization", "Bearer 0123456789abcdeX"}}).status, 401) << path;
    EXPECT_EQ(Get(path, {{"Authorization", kToken}}).status, 401) << path;
    EXPECT_EQ(Get(path, right).status, 200) << path;
  }
  EXPECT_EQ(Post("/v2/models/m/infer", R"({"inputs":[]})").status, 401);
  EXPECT_EQ(Post("/v2/models/m/infer", R"({"inputs":[]})", right).status, 200);
  EXPECT_EQ(Get("/v2/health/ready").status, 200);
  EXPECT_EQ(Get("/").status, 200);
  // Whoever knows it may call the server by any name.
  std::map<std::string, std::string> elsewhere = right;
  elsewhere["Host"] = "emotions.example";
  EXPECT_EQ(Get("/v2", elsewhere).status, 200);
}

TEST_F(HttpTest, WithoutATokenPagesOfOthersAreRefused) {
  Start();
  EXPECT_EQ(Get("/v2", {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(Get("/v2", {{"Host", "127.evil.example"}}).status, 403);
  EXPECT_EQ(Get("/v2", {{"Host", "127.0.0.1:8000"}}).status, 200);
  EXPECT_EQ(Get("/v2", {{"Host", "[::1]:8000"}}).status, 200);
  EXPECT_EQ(
      Post("/v2/repository/models/m/unload", "{}", {{"Origin", "http://evil.example"}}).status,
      403);
  EXPECT_EQ(Post("/v2/repository/index", "", {{"Origin", "http://localhost:1"}}).status, 200);
}

TEST_F(HttpTest, AConnectionTooManyIsToldSo) {
  ListenOptions options;
  options.max_connections = 2;
  Start(options);
  const std::string request = "GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const RawClient first(server_->port()), second(server_->port());
  for (const RawClient* client : {&first, &second}) {
    client->Send(request);
    EXPECT_THAT(client->ReadAnswer(), StartsWith("HTTP/1.1 200"));
  }
  const HttpAnswer third = Raw(request);
  EXPECT_EQ(third.status, 429);
  EXPECT_THAT(third.body, HasSubstr("--max_connections"));
  // Those that are open go on.
  first.Send(request);
  EXPECT_THAT(first.ReadAnswer(), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpTest, ManyMayComeAtOnce) {
  Start();
  std::vector<std::thread> clients;
  std::atomic<int> answered{0};
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back([&] { answered += Get("/v2").status == 200 ? 1 : 0; });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 100);
}

TEST_F(HttpTest, OnePortHasOneServer) {
  Start();
  ListenOptions options;
  options.port = server_->port();
  const auto second = HttpServer::Start(options, &service_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  options = {};
  options.tls_cert = options.tls_key = "/dev/null";
  EXPECT_EQ(HttpServer::Start(options, &service_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(LoopbackTest, IsThisMachineAlone) {
  for (const char* host : {"localhost", "127.0.0.1", "127.1.2.3", "::1"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "127.evil.example", "10.0.0.1", "", "localhost.evil"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

}  // namespace
}  // namespace cmerc::serving
