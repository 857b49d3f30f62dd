// What WriteCheckpoint writes, ReadCheckpoint reads. With PyTorch at hand, see that it reads them
// too: torch.load(file, weights_only=True).
#include "storage/checkpoint.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "losses/focal.pb.h"
#include "storage/archive.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::HasSubstr;

std::string TempPath(const std::string& name) {
  return absl::StrCat(testing::TempDir(), "/", name);
}

std::string Bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

CheckpointMetadata Metadata() {
  CheckpointMetadata metadata;
  FocalOptions focal;
  focal.set_gamma(1.5);
  metadata.mutable_config()->add_losses()->mutable_loss()->PackFrom(focal);
  metadata.mutable_config()->mutable_training()->set_learning_rate(0.1);
  metadata.mutable_dataset()->set_name("quotes \" and \n lines and é");
  metadata.mutable_dataset()->add_class_counts(int64_t{1} << 60);
  // Not representable in a few digits.
  metadata.mutable_standardization()->add_modalities()->add_streams()->add_mean(0.1F + 1e-8F);
  metadata.set_epoch(7);
  (*metadata.mutable_versions())["libtorch"] = "1.13";
  return metadata;
}

Checkpoint RoundTrip(const StateDict& state, const CheckpointMetadata& metadata = {}) {
  const std::string path = TempPath("round_trip.pth");
  const absl::Status written = WriteCheckpoint(path, state, metadata);
  TORCH_CHECK(written.ok(), written.ToString());
  absl::StatusOr<Checkpoint> read = ReadCheckpoint(path);
  TORCH_CHECK(read.ok(), read.status().ToString());
  return *std::move(read);
}

void ExpectSame(const StateDict& read, const StateDict& written) {
  ASSERT_EQ(read.size(), written.size());
  for (const auto& [name, tensor] : written) {
    ASSERT_EQ(read.count(name), 1U) << name;
    EXPECT_EQ(read.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(read.at(name).sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(read.at(name).equal(tensor)) << name;
    EXPECT_FALSE(read.at(name).requires_grad()) << name;
  }
}

class RoundTripTest : public testing::TestWithParam<torch::ScalarType> {};

TEST_P(RoundTripTest, EveryShape) {
  torch::manual_seed(1);
  const torch::Tensor values = (torch::randn({3, 4, 5}) * 50).abs().to(GetParam());
  ExpectSame(RoundTrip({{"whole", values},
                        {"scalar", values[0][0][0].clone()},
                        {"scalar view", values[2][3][4]},
                        {"one", values.narrow(2, 3, 1).narrow(1, 1, 1).narrow(0, 0, 1)},
                        {"empty", torch::empty({0}, GetParam())},
                        {"empty in the middle", torch::empty({2, 0, 3}, GetParam())},
                        {"transposed", values.transpose(0, 2)},
                        {"strided", values.slice(1, 0, 4, 2)},
                        {"expanded", values[0][0][0].expand({2, 3})},
                        {"", values[0]},
                        {"layer.0.wéight'\"\n", values[1]}})
                 .state,
             {{"whole", values},
              {"scalar", values[0][0][0]},
              {"scalar view", values[2][3][4]},
              {"one", values.narrow(2, 3, 1).narrow(1, 1, 1).narrow(0, 0, 1)},
              {"empty", torch::empty({0}, GetParam())},
              {"empty in the middle", torch::empty({2, 0, 3}, GetParam())},
              {"transposed", values.transpose(0, 2)},
              {"strided", values.slice(1, 0, 4, 2)},
              {"expanded", values[0][0][0].expand({2, 3})},
              {"", values[0]},
              {"layer.0.wéight'\"\n", values[1]}});
}

INSTANTIATE_TEST_SUITE_P(Types, RoundTripTest,
                         testing::Values(torch::kFloat32, torch::kFloat64, torch::kFloat16,
                                         torch::kBFloat16, torch::kInt64, torch::kInt32,
                                         torch::kInt16, torch::kInt8, torch::kUInt8, torch::kBool),
                         [](const auto& info) { return c10::toString(info.param); });

TEST(CheckpointTest, NotANumberAndInfinitySurvive) {
  const torch::Tensor odd = torch::tensor({NAN, INFINITY, -INFINITY, -0.0F});
  const torch::Tensor read = RoundTrip({{"odd", odd}}).state.at("odd");
  EXPECT_TRUE(read.view(torch::kInt32).equal(odd.view(torch::kInt32)));
}

TEST(CheckpointTest, GradientIsLeftBehind) {
  const torch::Tensor weight = torch::ones({2}).set_requires_grad(true);
  ExpectSame(RoundTrip({{"weight", weight}, {"result", weight * 2}}).state,
             {{"weight", torch::ones({2})}, {"result", torch::full({2}, 2.0F)}});
}

TEST(CheckpointTest, NoTensors) {
  const Checkpoint read = RoundTrip({});
  EXPECT_TRUE(read.state.empty());
  EXPECT_TRUE(read.metadata.has_value());
}

TEST(CheckpointTest, MoreTensorsThanAPickleTupleOrByteCounts) {
  StateDict state;
  for (int i = 0; i < 700; ++i) state[absl::StrCat("tensor", i)] = torch::full({i % 3}, i);
  ExpectSame(RoundTrip(state).state, state);
}

TEST(CheckpointTest, MetadataSurvives) {
  const CheckpointMetadata metadata = Metadata();
  const Checkpoint read = RoundTrip({{"a", torch::ones({1})}}, metadata);
  ASSERT_TRUE(read.metadata.has_value());
  CheckpointMetadata want = metadata;
  want.set_format_version(1);
  want.set_epochs_from(1);
  EXPECT_TRUE(MessageDifferencer::Equals(*read.metadata, want))
      << read.metadata->DebugString() << want.DebugString();
}

TEST(CheckpointTest, SameContentsSameBytes) {
  const StateDict state = {{"a", torch::arange(5)}, {"b", torch::ones({2, 2})}};
  for (const std::string name : {"first.pth", "second.pth"}) {
    ASSERT_TRUE(WriteCheckpoint(TempPath(name), state, Metadata()).ok());
  }
  EXPECT_EQ(Bytes(TempPath("first.pth")), Bytes(TempPath("second.pth")));
}

TEST(CheckpointTest, RefusesATypeItCannotWrite) {
  const std::string path = TempPath("complex.pth");
  const absl::Status status =
      WriteCheckpoint(path, {{"phase", torch::ones({2}, torch::kComplexFloat)}}, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("tensor phase is of type ComplexFloat"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(CheckpointTest, AFailedWriteKeepsTheOldFileAndLeavesNoOther) {
  const std::string folder = TempPath("kept");
  std::filesystem::create_directory(folder);
  const std::string path = folder + "/a.pth";
  ASSERT_TRUE(WriteCheckpoint(path, {{"a", torch::ones({1})}}, {}).ok());
  EXPECT_FALSE(WriteCheckpoint(path, {{"a", torch::ones({1}, torch::kComplexFloat)}}, {}).ok());
  EXPECT_TRUE(ReadCheckpoint(path).ok());
  EXPECT_FALSE(WriteCheckpoint(folder, {{"a", torch::ones({1})}}, {}).ok());
  EXPECT_FALSE(WriteCheckpoint(folder + "/none/a.pth", {{"a", torch::ones({1})}}, {}).ok());
  const std::filesystem::directory_iterator files(folder);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(CheckpointTest, RecordsAreThoseOfTorchSave) {
  const std::string path = TempPath("records.pth");
  ASSERT_TRUE(WriteCheckpoint(path, {{"a", torch::tensor({1.0F})}}, Metadata()).ok());
  const absl::StatusOr<Archive> archive = Archive::Parse(Bytes(path));
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_EQ(archive->Read("data/0").value(), absl::string_view("\0\0\x80\x3f", 4));
  EXPECT_EQ(archive->Read("version").value(), "3\n");
  EXPECT_THAT(std::string(archive->Read("cmerc/metadata.textproto").value()),
              HasSubstr("[type.googleapis.com/cmerc.FocalOptions] {\n        gamma: 1.5"));
  // A pickle of protocol 2, which every Python reads.
  EXPECT_EQ(archive->Read("data.pkl").value().substr(0, 2), "\x80\x02");
}

TEST(CheckpointTest, AMissingFileAFolderAndAnEmptyFile) {
  const absl::Status missing = ReadCheckpoint(TempPath("no/such.pth")).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("no/such.pth: No such file or directory"));

  const absl::Status folder = ReadCheckpoint(testing::TempDir()).status();
  EXPECT_EQ(folder.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(folder.message()), HasSubstr("no regular file"));

  const std::string path = TempPath("empty.pth");
  std::ofstream(path).flush();
  const absl::Status empty = ReadCheckpoint(path).status();
  EXPECT_EQ(empty.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(empty.message()), HasSubstr("empty.pth: not a checkpoint"));
}

TEST(CheckpointTest, ATruncatedFileIsAnErrorWhereverItEnds) {
  const std::string path = TempPath("whole.pth");
  ASSERT_TRUE(WriteCheckpoint(path, {{"a", torch::arange(100)}}, Metadata()).ok());
  const std::string bytes = Bytes(path);
  const std::string cut = TempPath("cut.pth");
  for (size_t size = 0; size < bytes.size(); size += 97) {
    std::ofstream(cut, std::ios::binary) << bytes.substr(0, size);
    EXPECT_EQ(ReadCheckpoint(cut).status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST(CheckpointTest, AChangedBitInATensorIsSeen) {
  const std::string path = TempPath("bit.pth");
  ASSERT_TRUE(WriteCheckpoint(path, {{"a", torch::full({4}, 1.5F)}}, {}).ok());
  std::string bytes = Bytes(path);
  const size_t place = bytes.find(std::string("\0\0\xc0\x3f", 4));
  ASSERT_NE(place, std::string::npos);
  bytes[place] = 1;
  std::ofstream(path, std::ios::binary) << bytes;
  const absl::Status status = ReadCheckpoint(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("record data/0 is damaged"));
}

}  // namespace
}  // namespace cmerc
