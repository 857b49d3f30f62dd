// The gRPC server before a service without a model, with gRPC's own client.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "serving/conversation_service.grpc.pb.h"
#include "serving/grpc_server.h"
#include "serving/open_inference.grpc.pb.h"
#include "tests/serving/fake_service.h"

namespace cmerc::serving {
namespace {

class GrpcTest : public testing::Test {
 protected:
  void Start(const ListenOptions& options = {}) {
    auto server = GrpcServer::Start(options, &service_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    const auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                             grpc::InsecureChannelCredentials());
    inference_ = inference::GRPCInferenceService::NewStub(channel);
    conversations_ = ConversationService::NewStub(channel);
  }

  FakeService service_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> inference_;
  std::unique_ptr<ConversationService::Stub> conversations_;
};

ConverseRequest Says(const std::string& speaker) {
  ConverseRequest request;
  request.set_model("m");
  request.set_speaker(speaker);
  return request;
}

TEST_F(GrpcTest, InfersAndSaysWhatFails) {
  Start();
  inference::ModelInferRequest request;
  request.set_model_name("m");
  request.set_id("5");
  inference::ModelInferResponse response;
  {
    grpc::ClientContext context;
    const grpc::Status status = inference_->ModelInfer(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.id(), "5");
  }
  service_.failure = absl::ResourceExhaustedError("too many");
  grpc::ClientContext context;
  const grpc::Status status = inference_->ModelInfer(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "too many");
}

TEST_F(GrpcTest, AskedForTheTokenItAnswersHealthAlone) {
  ListenOptions options;
  options.token = "0123456789abcdef";
  Start(options);
  inference::ServerReadyResponse ready;
  grpc::ClientContext health;
  EXPECT_TRUE(inference_->ServerReady(&health, {}, &ready).ok());
  EXPECT_TRUE(ready.ready());
  inference::ServerMetadataResponse metadata;
  grpc::ClientContext without;
  EXPECT_EQ(inference_->ServerMetadata(&without, {}, &metadata).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  grpc::ClientContext with;
  with.AddMetadata("authorization", "Bearer 0123456789abcdef");
  EXPECT_TRUE(inference_->ServerMetadata(&with, {}, &metadata).ok());
}

TEST_F(GrpcTest, AMessageThatIsTooLargeIsRefused) {
  ListenOptions options;
  options.max_body = 1000;
  Start(options);
  inference::ModelInferRequest request;
  request.add_raw_input_contents(std::string(2000, 'x'));
  inference::ModelInferResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(inference_->ModelInfer(&context, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(GrpcTest, AConversationIsAnsweredUtteranceByUtterance) {
  Start();
  grpc::ClientContext context;
  const auto stream = conversations_->Converse(&context);
  ConverseResponse response;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream->Write(Says(absl::StrCat("Ann", i))));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.number(), i);
    EXPECT_EQ(response.utterance().label(), absl::StrCat("of Ann", i));
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(service_.counters().open_streams(), 0);
}

TEST_F(GrpcTest, AConversationEndsWithAnErrorAndCannotChangeItsModel) {
  Start();
  ConverseResponse response;
  {
    grpc::ClientContext context;
    const auto stream = conversations_->Converse(&context);
    ASSERT_TRUE(stream->Write(Says("nobody")));
    EXPECT_FALSE(stream->Read(&response));
    EXPECT_EQ(stream->Finish().error_message(), "nobody speaks");
  }
  grpc::ClientContext context;
  const auto stream = conversations_->Converse(&context);
  ASSERT_TRUE(stream->Write(Says("Ann")));
  ASSERT_TRUE(stream->Read(&response));
  ConverseRequest other = Says("Ann");
  other.set_model("n");
  ASSERT_TRUE(stream->Write(other));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(GrpcTest, ThereAreOnlySoManyConversationsAndStoppingEndsThem) {
  ListenOptions options;
  options.max_streams = 1;
  Start(options);
  ConverseResponse response;
  grpc::ClientContext first_context, second_context;
  const auto first = conversations_->Converse(&first_context);
  ASSERT_TRUE(first->Write(Says("Ann")));
  ASSERT_TRUE(first->Read(&response));
  const auto second = conversations_->Converse(&second_context);
  second->Write(Says("Bo"));
  EXPECT_FALSE(second->Read(&response));
  const grpc::Status refused = second->Finish();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(refused.error_message().find("--max_streams"), std::string::npos);
  server_->Stop();
  EXPECT_FALSE(first->Read(&response));
  EXPECT_FALSE(first->Finish().ok());
}

TEST_F(GrpcTest, AConversationThatRestsForTooLongIsEnded) {
  ListenOptions options;
  options.idle = std::chrono::seconds(0);
  Start(options);
  grpc::ClientContext context;
  const auto stream = conversations_->Converse(&context);
  ConverseResponse response;
  ASSERT_TRUE(stream->Write(Says("Ann")));
  stream->Read(&response);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(GrpcTest, OnePortHasOneServer) {
  Start();
  ListenOptions options;
  options.port = server_->port();
  EXPECT_EQ(GrpcServer::Start(options, &service_).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace cmerc::serving
