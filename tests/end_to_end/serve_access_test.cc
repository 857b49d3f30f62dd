// `cmerc serve` where others can reach it: TLS with a certificate that openssl makes and curl
// checks, and the token, over HTTP and gRPC.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "serving/open_inference.grpc.pb.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/files.h"
#include "tests/end_to_end/predicting.h"
#include "tests/end_to_end/running_server.h"

namespace cmerc {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

constexpr char kToken[] = "0123456789abcdef0123456789abcdef";

std::string Bearer(absl::string_view token) {
  return absl::StrCat("--header 'Authorization: Bearer ", token, "' ");
}

class ServeAccessTest : public PredictFixture {
 protected:
  // A key, key.pem, a certificate for localhost that it has signed itself, chain.pem, and the
  // token.
  void SetUp() override {
    for (const char* program : {"openssl", "curl"}) {
      if (std::filesystem::exists(absl::StrCat("/usr/bin/", program))) continue;
      GTEST_SKIP() << "there is no " << program << " (Debian: " << program << ")";
    }
    const Outcome made = Shell(*folder_,
                               "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out "
                               "chain.pem -days 2 -subj /CN=localhost -addext "
                               "subjectAltName=DNS:localhost,IP:127.0.0.1 2>&1");
    ASSERT_EQ(made.exit_code, 0) << made.out;
    WriteFile(*folder_ + "/token", absl::StrCat(kToken, "\n"));
  }

  static std::vector<std::string> TlsFlags() {
    return {"--host=0.0.0.0", "--token_file=token", "--tls_cert=chain.pem", "--tls_key=key.pem"};
  }

  // What curl gets: the body, and in a line of its own the status, 000 where there is no answer.
  static std::string Curl(const std::string& flags, const std::string& url) {
    return Shell(
               *folder_,
               absl::StrCat("curl --silent --show-error --max-time 60 --write-out '\\n%{http_code}'"
                            " ",
                            flags, " ", url, " 2>&1 || true"))
        .out;
  }
};

TEST_F(ServeAccessTest, CurlTrustsTheCertificateAndTheServerTheToken) {
  Server server(*folder_, TlsFlags());
  const std::string url = absl::StrCat("https://localhost:", server.http());
  const std::string predict = url + "/cmerc/models/tiny/predict";
  const std::string trusted = "--cacert chain.pem ", body = "--data-binary @test.jsonl ";
  // Health and the page want no token.
  for (const char* path : {"/v2/health/live", "/v2/health/ready", "/"}) {
    EXPECT_THAT(Curl(trusted, url + path), EndsWith("\n200")) << path;
  }
  EXPECT_EQ(Curl(trusted + body + Bearer(kToken), predict),
            MustPredict({"--set=training { batch_size: 1 }", "--input=test.jsonl"}) + "\n200");
  for (const std::string& token : {std::string(), Bearer("0123456789abcdef0123456789abcdee"),
                                   Bearer(absl::string_view(kToken).substr(1)), Bearer("")}) {
    EXPECT_THAT(Curl(trusted + body + token, predict), EndsWith("\n401")) << token;
    for (const char* path : {"/metrics", "/v2", "/v2/models/tiny"}) {
      EXPECT_THAT(Curl(trusted + token, url + path), EndsWith("\n401")) << path;
    }
    EXPECT_THAT(Curl(trusted + token + "--data '{}'", url + "/v2/repository/models/tiny/unload"),
                EndsWith("\n401"));
  }
  // Who does not know the certificate does not send anything, and without TLS there is no answer.
  EXPECT_THAT(Curl(body + Bearer(kToken), predict), EndsWith("\n000"));
  EXPECT_THAT(Curl("", absl::StrCat("http://localhost:", server.http(), "/v2/health/live")),
              EndsWith("\n000"));
  const Outcome stopped = server.Stop();
  EXPECT_EQ(stopped.exit_code, 0) << stopped.err;
}

TEST_F(ServeAccessTest, GrpcHasTheSameCertificateAndToken) {
  Server server(*folder_, TlsFlags());
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ReadFile(*folder_ + "/chain.pem");
  const std::string address = absl::StrCat("localhost:", server.grpc());
  const auto stub = inference::GRPCInferenceService::NewStub(
      grpc::CreateChannel(address, grpc::SslCredentials(tls)));
  // The status of a question with this metadata, or without any where it is empty.
  const auto code_with = [](inference::GRPCInferenceService::Stub& asked,
                            const std::string& shown) {
    grpc::ClientContext context;
    if (!shown.empty()) context.AddMetadata("authorization", shown);
    inference::RepositoryIndexResponse index;
    const grpc::Status status = asked.RepositoryIndex(&context, {}, &index);
    EXPECT_EQ(index.models_size(), status.ok() ? 1 : 0);
    return status.error_code();
  };
  EXPECT_EQ(code_with(*stub, absl::StrCat("Bearer ", kToken)), grpc::StatusCode::OK);
  EXPECT_EQ(code_with(*stub, absl::StrCat("Bearer ", kToken, "x")),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(code_with(*stub, ""), grpc::StatusCode::UNAUTHENTICATED);
  {
    grpc::ClientContext context;
    inference::ServerLiveResponse live;
    EXPECT_TRUE(stub->ServerLive(&context, {}, &live).ok());
  }
  const auto plain = inference::GRPCInferenceService::NewStub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  EXPECT_EQ(code_with(*plain, absl::StrCat("Bearer ", kToken)), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(server.Stop().exit_code, 0);
}

TEST_F(ServeAccessTest, ATokenIsWantedOnThisMachineToo) {
  Server server(*folder_, {"--token_file=token"});
  const std::string url = absl::StrCat("http://127.0.0.1:", server.http(), "/v2/models/tiny");
  EXPECT_THAT(Curl("", url), EndsWith("\n401"));
  EXPECT_THAT(Curl(Bearer(kToken), url), EndsWith("\n200"));
  EXPECT_EQ(server.Stop().exit_code, 0);
}

TEST_F(ServeAccessTest, AWiderAddressWantsTokenAndTls) {
  WriteFile(*folder_ + "/damaged.pem", "-----BEGIN CERTIFICATE-----\nno\n");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--host=0.0.0.0"}, "needs --token_file, --tls_cert and --tls_key"},
      {{"--host=0.0.0.0", "--token_file=token"}, "needs --token_file, --tls_cert and --tls_key"},
      {{"--host=::", "--tls_cert=chain.pem", "--tls_key=key.pem"},
       "needs --token_file, --tls_cert and --tls_key"},
      {{"--tls_cert=chain.pem"}, "needs the other one of --tls_cert and --tls_key"},
      {{"--tls_cert=damaged.pem", "--tls_key=key.pem"}, "cannot be used; want a chain"},
      {{"--tls_cert=nowhere.pem", "--tls_key=key.pem"}, "cannot be used; want a chain"},
  };
  for (const auto& [flags, message] : cases) {
    std::vector<std::string> args = {"serve", "--model=tiny=run/selected.pth", "--http_port=0",
                                     "--grpc_port=0"};
    args.insert(args.end(), flags.begin(), flags.end());
    const Outcome outcome = RunCmerc(args, *folder_);
    EXPECT_EQ(outcome.exit_code, 2) << absl::StrJoin(args, " ");
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(message)) << absl::StrJoin(args, " ");
  }
}

}  // namespace
}  // namespace cmerc
