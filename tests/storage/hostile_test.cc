// Checkpoints that are whole archives and mean harm: an error each, and nothing is executed,
// allocated beyond reason or read outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "config/loader.h"
#include "storage/checkpoint.h"
#include "storage/pickle/writer.h"
#include "tests/storage/zip.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

constexpr int64_t kHuge = int64_t{1} << 62;

struct TensorText {
  std::string type = "FloatStorage";
  std::string key = "0";
  int64_t elements = 4;
  int64_t offset = 0;
  std::vector<int64_t> sizes = {4};
  std::vector<int64_t> strides = {1};
};

void Write(pickle::Writer& writer, const TensorText& tensor) {
  writer.Global("torch._utils", "_rebuild_tensor_v2");
  writer.Mark();
  writer.Mark();
  writer.String("storage");
  writer.Global("torch", tensor.type);
  writer.String(tensor.key);
  writer.String("cpu");
  writer.Int(tensor.elements);
  writer.TupleFromMark();
  writer.BinPersId();
  writer.Int(tensor.offset);
  for (const std::vector<int64_t>& extents : {tensor.sizes, tensor.strides}) {
    writer.Mark();
    for (const int64_t extent : extents) writer.Int(extent);
    writer.TupleFromMark();
  }
  writer.Bool(false);
  writer.EmptyDict();
  writer.TupleFromMark();
  writer.Reduce();
}

// data.pkl: a dict of these, named "t0", "t1", ...
std::string Pickle(const std::vector<TensorText>& tensors) {
  pickle::Writer writer;
  writer.EmptyDict();
  writer.Mark();
  for (size_t i = 0; i < tensors.size(); ++i) {
    writer.String(absl::StrCat("t", i));
    Write(writer, tensors[i]);
  }
  writer.SetItems();
  return std::move(writer).Finish();
}

absl::StatusOr<Checkpoint> Read(const std::vector<ZipRecord>& records) {
  const std::string path = absl::StrCat(testing::TempDir(), "/hostile.pth");
  std::ofstream(path, std::ios::binary) << Zip(records, {/*zip64=*/true, ""});
  return ReadCheckpoint(path);
}

// Reads a file with this data.pkl and 16 bytes of zeros as storage 0.
absl::StatusOr<Checkpoint> Read(const std::string& pickled) {
  return Read({{"h/data.pkl", pickled}, {"h/data/0", std::string(16, '\0')}});
}

// The message of the InvalidArgument that must come.
template <typename T>
std::string Problem(const T& contents) {
  const absl::Status status = Read(contents).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("/hostile.pth"));
  return std::string(status.message());
}

std::string Problem(const TensorText& tensor) { return Problem(Pickle({tensor})); }

TEST(HostileTest, TheTensorsOfTheseTestsAreReadWhenTheyAreRight) {
  const absl::StatusOr<Checkpoint> checkpoint = Read(Pickle({TensorText()}));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_TRUE(checkpoint->state.at("t0").equal(torch::zeros({4})));
}

TEST(HostileTest, ACallOfTheSystemIsRefusedAndNotMade) {
  const std::string witness = absl::StrCat(testing::TempDir(), "/witness");
  for (const std::string module : {"os", "posix", "nt"}) {
    pickle::Writer writer;
    writer.Global(module, "system");
    writer.String("touch " + witness);
    writer.Tuple(1);
    writer.Reduce();
    EXPECT_THAT(Problem(std::move(writer).Finish()), HasSubstr(module + ".system"));
  }
  EXPECT_FALSE(std::ifstream(witness).good());
}

TEST(HostileTest, OtherGlobalsOfTorchAreRefused) {
  pickle::Writer writer;
  writer.Global("torch.hub", "load");
  writer.String("somewhere");
  writer.Tuple(1);
  writer.Reduce();
  EXPECT_THAT(Problem(std::move(writer).Finish()), HasSubstr("torch.hub.load"));
}

TEST(HostileTest, NoPickle) {
  EXPECT_THAT(Problem(std::vector<ZipRecord>{{"h/data/0", "1234"}}), HasSubstr("is a zip archive"));
  EXPECT_THAT(Problem(std::string("this is no pickle")), HasSubstr("data.pkl: byte 0"));
  EXPECT_NE(Problem(std::string()), "");
}

TEST(HostileTest, NotADictOfTensors) {
  pickle::Writer number;
  number.Int(3);
  EXPECT_THAT(Problem(std::move(number).Finish()), HasSubstr("a state dict is a dict of tensors"));

  pickle::Writer value;
  value.EmptyDict();
  value.Mark();
  value.String("weight");
  Write(value, TensorText());
  value.String("epoch");
  value.Int(3);
  value.SetItems();
  EXPECT_THAT(Problem(std::move(value).Finish()),
              testing::AllOf(HasSubstr("want a tensor"), HasSubstr("(tensor epoch)")));

  pickle::Writer key;
  key.EmptyDict();
  key.Mark();
  key.Int(3);
  Write(key, TensorText());
  key.SetItems();
  EXPECT_NE(Problem(std::move(key).Finish()), "");

  pickle::Writer storage;  // a storage that is a number
  storage.EmptyDict();
  storage.Mark();
  storage.String("t");
  storage.Global("torch._utils", "_rebuild_tensor_v2");
  storage.Mark();
  for (int i = 0; i < 4; ++i) storage.Int(1);
  storage.TupleFromMark();
  storage.Reduce();
  storage.SetItems();
  EXPECT_THAT(Problem(std::move(storage).Finish()), HasSubstr("want a storage"));
}

TEST(HostileTest, ATensorBeyondItsStorage) {
  std::vector<TensorText> tensors(8);
  tensors[0].sizes = {5};
  tensors[1].offset = 1;
  tensors[2].offset = -1;
  tensors[3].strides = {2};
  tensors[4].strides = {-1};
  tensors[5].sizes = {2, 2}, tensors[5].strides = {3, 1};
  // The last element's index overflows 64 bits.
  tensors[6].sizes = {kHuge, 2}, tensors[6].strides = {kHuge, kHuge};
  tensors[7].offset = int64_t{9223372036854775807};
  for (const TensorText& tensor : tensors) {
    EXPECT_THAT(Problem(tensor), HasSubstr("reaches beyond its storage of 4 elements"));
  }
  TensorText ragged;
  ragged.sizes = {2, 2};
  EXPECT_NE(Problem(ragged), "");
  TensorText negative;
  negative.sizes = {-1};
  EXPECT_NE(Problem(negative), "");
}

TEST(HostileTest, AStorageOfMoreElementsThanItsRecordHolds) {
  for (const int64_t elements : {int64_t{5}, kHuge, int64_t{-1}}) {
    TensorText tensor;
    tensor.elements = elements;
    EXPECT_THAT(Problem(tensor), HasSubstr(absl::StrCat("has 16 bytes, want ", elements)));
  }
  TensorText wider;
  wider.type = "DoubleStorage";
  EXPECT_THAT(Problem(wider), HasSubstr("want 4 elements of 8 bytes"));
}

TEST(HostileTest, AStorageThatIsNotThere) {
  for (const std::string key : {"1", "", "../data.pkl", "0/"}) {
    TensorText tensor;
    tensor.key = key;
    EXPECT_THAT(Problem(tensor), HasSubstr("no record data/" + key));
  }
}

TEST(HostileTest, OneStorageAsTwoTypesIsReadAsBoth) {
  std::vector<TensorText> tensors(2);
  tensors[1].type = "DoubleStorage";
  tensors[1].elements = 2;
  tensors[1].sizes = {2};
  const absl::StatusOr<Checkpoint> checkpoint = Read(Pickle(tensors));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_TRUE(checkpoint->state.at("t1").equal(torch::zeros({2}, torch::kFloat64)));
}

TEST(HostileTest, AViewThatRepeatsItsElementsCannotFillTheMemory) {
  for (const std::vector<int64_t>& sizes :
       {std::vector<int64_t>{int64_t{1} << 40}, std::vector<int64_t>{1 << 20, 1 << 20},
        std::vector<int64_t>{kHuge, kHuge}, std::vector<int64_t>{kHuge, 0}}) {
    TensorText tensor;
    tensor.sizes = sizes;
    tensor.strides.assign(sizes.size(), 0);
    EXPECT_THAT(Problem(tensor), HasSubstr("more than 64 times the file"));
  }
}

TEST(HostileTest, ManyViewsCannotFillTheMemory) {
  TensorText tensor;
  tensor.sizes = {10000};
  tensor.strides = {0};
  // About 140 bytes of the file each, and 40000 of memory.
  EXPECT_THAT(Problem(Pickle(std::vector<TensorText>(1000, tensor))),
              HasSubstr("more than 64 times the file"));
}

TEST(HostileTest, ATensorOfTooManyAxes) {
  TensorText tensor;
  tensor.sizes.assign(64, 1);
  tensor.strides.assign(64, 0);
  EXPECT_TRUE(Read(Pickle({tensor})).ok());
  tensor.sizes.push_back(1);
  tensor.strides.push_back(0);
  EXPECT_THAT(Problem(tensor), HasSubstr("a tensor of 65 axes, want at most 64"));
}

TEST(HostileTest, ANameAsTextAndAsBytes) {
  pickle::Writer writer;
  writer.EmptyDict();
  writer.Mark();
  writer.String("t");
  Write(writer, TensorText());
  writer.Global("builtins", "bytes");
  writer.String("t");
  writer.Tuple(1);
  writer.Reduce();
  Write(writer, TensorText());
  writer.SetItems();
  EXPECT_THAT(Problem(std::move(writer).Finish()), HasSubstr("tensor t is there twice"));
}

TEST(HostileTest, NamesInMessagesAreEscaped) {
  pickle::Writer writer;
  writer.EmptyDict();
  writer.Mark();
  writer.String("weight");
  Write(writer, TensorText());
  writer.String("\x1b[2J");
  writer.None();
  writer.SetItems();
  EXPECT_THAT(Problem(std::move(writer).Finish()), HasSubstr("(tensor \\x1b[2J)"));
}

TEST(HostileTest, ARecordThatClaimsGigabytes) {
  const uint64_t four_gigabytes = uint64_t{4} << 30;
  for (const uint16_t method : {0, 8}) {
    EXPECT_THAT(Problem(std::vector<ZipRecord>{
                    {"h/data.pkl", Pickle({TensorText()})},
                    ZipRecord("h/data/0", "xx").WithMethod(method).WithSize(four_gigabytes)}),
                HasSubstr("record h/data/0 is compressed"));
  }
}

TEST(HostileTest, ABigEndianFile) {
  EXPECT_THAT(Problem(std::vector<ZipRecord>{{"h/data.pkl", Pickle({})}, {"h/byteorder", "big"}}),
              HasSubstr("little-endian"));
  EXPECT_TRUE(Read({{"h/data.pkl", Pickle({})}, {"h/byteorder", "little"}}).ok());
}

TEST(HostileTest, Metadata) {
  const auto problem = [](const std::string& metadata) {
    return Problem(std::vector<ZipRecord>{{"h/data.pkl", Pickle({})},
                                          {"h/cmerc/metadata.textproto", metadata}});
  };
  EXPECT_THAT(problem("no such field: 1"), HasSubstr("cmerc/metadata.textproto:1:"));
  EXPECT_THAT(problem("format_version: 1\nepoch: \"x\""), HasSubstr(":2:"));
  EXPECT_THAT(problem("format_version: 99"), HasSubstr("use a newer cmerc"));
  EXPECT_THAT(problem("config { backbone { [type.googleapis.com/cmerc.NoSuchOptions] {} } }"),
              HasSubstr("plugins linked in"));
  EXPECT_THAT(problem(std::string("\xff\xfe\0garbage", 10)), HasSubstr("metadata"));
  std::string deep = "config { ";
  for (int i = 0; i < 100000; ++i) deep += "data { ";
  EXPECT_THAT(problem(deep), HasSubstr("metadata"));
  std::string nested;  // of any type, so that the schema does not end it
  for (int i = 0; i < 100000; ++i) nested += "x { ";
  EXPECT_THAT(problem(nested), HasSubstr("metadata"));
  std::string any = "config { backbone { ";
  for (int i = 0; i < 100000; ++i) any += "[type.googleapis.com/google.protobuf.Any] { ";
  EXPECT_THAT(problem(any), HasSubstr("messages are nested deeper than 50"));
}

std::string Varint(size_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes.push_back(static_cast<char>(value | 128));
  return bytes + static_cast<char>(value);
}

// Plugins may be nested deeper where they are bytes, which nobody parses when the checkpoint is
// read.
TEST(HostileTest, ResolvingAConfigDoesNotLookIntoWhatIsNoPlugin) {
  const std::string type_url = "type.googleapis.com/google.protobuf.Any";
  std::string any;
  for (int i = 0; i < 3000; ++i) {
    any = "\x0a" + Varint(type_url.size()) + type_url + "\x12" + Varint(any.size()) + any;
  }
  RunConfig config;
  config.mutable_backbone()->set_type_url(type_url);
  config.mutable_backbone()->set_value(any);
  EXPECT_THAT(ResolvedConfig(config), HasSubstr("[" + type_url + "] {\n  }"));
}

}  // namespace
}  // namespace cmerc
