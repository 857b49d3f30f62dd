// Opcodes and values that the fixtures do not show, written by hand.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "storage/pickle/pickle.h"

namespace cmerc::pickle {
namespace {

using std::string_literals::operator""s;

std::unique_ptr<Document> Parse(std::string bytes, const Options& options = {}) {
  absl::StatusOr<std::unique_ptr<Document>> document =
      Document::Parse(std::move(bytes), "test.pkl", options);
  EXPECT_TRUE(document.ok()) << document.status();
  return document.ok() ? *std::move(document) : nullptr;
}

TEST(Opcodes, TextNumbers) {
  const auto document = Parse("(I00\nI01\nI-7\nL12L\nL-3\nF1.5\nF-inf\nl.");
  const absl::Span<const Value* const> items = document->root().items();
  ASSERT_EQ(items.size(), 7);
  EXPECT_EQ(items[0]->kind(), Kind::kBool);
  EXPECT_FALSE(items[0]->bool_value());
  EXPECT_TRUE(items[1]->bool_value());
  EXPECT_EQ(items[2]->int_value(), -7);
  EXPECT_EQ(items[3]->int_value(), 12);
  EXPECT_EQ(items[4]->int_value(), -3);
  EXPECT_EQ(items[5]->float_value(), 1.5);
  EXPECT_LT(items[6]->float_value(), -1e308);
}

TEST(Opcodes, Long1IsSignedAndMayBeEmpty) {
  const auto document = Parse("(\x8a\0\x8a\1\xff\x8a\3\0\0\1\x8b\2\0\0\0\0\x80l."s);
  const absl::Span<const Value* const> items = document->root().items();
  ASSERT_EQ(items.size(), 4);
  EXPECT_EQ(items[0]->int_value(), 0);
  EXPECT_EQ(items[1]->int_value(), -1);
  EXPECT_EQ(items[2]->int_value(), 65536);
  EXPECT_EQ(items[3]->int_value(), -32768);
}

TEST(Opcodes, QuotedString) {
  EXPECT_EQ(Parse("S'a\\x41\\n\\\\\\'\\101\\0'\n.")->root().string(), "aA\n\\'A\0"s);
  EXPECT_EQ(Parse("S\"it's\"\n.")->root().string(), "it's");
}

TEST(Opcodes, Python2StringIsDecodedAsLatin1) {
  EXPECT_EQ(Parse("U\2n\xf6.")->root().string(), "n\u00f6");
  EXPECT_EQ(Parse("T\2\0\0\0n\xf6."s)->root().string(), "n\u00f6");
}

TEST(Opcodes, UnicodeEscapesWithSurrogates) {
  EXPECT_EQ(Parse("V\\ud83d\\ude00 \\\\u0041\\u00e9\xe9\n.")->root().string(),
            "\U0001f600 \\\\u0041\u00e9\u00e9");
  EXPECT_EQ(Parse("V\\ud83d\n.")->root().string(), "\uFFFD");
  EXPECT_EQ(Parse("X\3\0\0\0\xed\xa0\xbd."s)->root().string(), "\uFFFD");
}

TEST(Opcodes, StackAndMemo) {
  // An index far off; POP; POP_MARK; POP of a mark; DUP.
  const auto document = Parse(
      "]r\0\0\0\x7fp1000000\n0((K\1K\2"
      "1(0g1000000\nj\0\0\0\x7f"
      "2t."s);
  const absl::Span<const Value* const> items = document->root().items();
  ASSERT_EQ(items.size(), 3);
  EXPECT_EQ(items[0]->kind(), Kind::kList);
  EXPECT_EQ(items[0], items[1]);
  EXPECT_EQ(items[0], items[2]);
}

TEST(Opcodes, SparseMemoIndexAllocatesLittle) {
  const auto document = Parse("]r\xff\xff\xff\x7fp123456789012\n0g123456789012\n."s);
  EXPECT_EQ(document->root().kind(), Kind::kList);
  EXPECT_LT(document->memory_used(), 1 << 14);
}

TEST(Opcodes, DuplicateKeysKeepPlaceAndTakeTheLastValue) {
  const auto document = Parse("}(K\1U\1aK\2U\1bG\x3f\xf0\0\0\0\0\0\0U\1cu."s);  // 1, 2, 1.0
  ASSERT_EQ(document->root().keys().size(), 2);
  EXPECT_EQ(document->root().Find(1)->string(), "c");
  EXPECT_EQ(document->root().values()[0]->string(), "c");
}

TEST(Opcodes, PersistentIdsAndAllowedGlobals) {
  Options options;
  options.allow_persistent_ids = true;
  options.allowed_globals = {"torch.FloatStorage", "torch._utils._rebuild_tensor_v2"};
  const auto document = Parse(
      "ctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\ntQK\0K\3\x85tR}b."s,
      options);
  const Value& root = document->root();
  ASSERT_EQ(root.kind(), Kind::kObject);
  EXPECT_EQ(root.global_name(), "torch._utils._rebuild_tensor_v2");
  ASSERT_EQ(root.args()->items().size(), 3);
  const Value& storage = *root.args()->items()[0];
  ASSERT_EQ(storage.kind(), Kind::kPersistentId);
  EXPECT_EQ(storage.persistent_id()->items()[0]->string(), "storage");
  EXPECT_EQ(storage.persistent_id()->items()[1]->kind(), Kind::kGlobal);
  EXPECT_EQ(storage.persistent_id()->items()[1]->global_name(), "torch.FloatStorage");
  ASSERT_NE(root.state(), nullptr);
  EXPECT_EQ(root.state()->kind(), Kind::kDict);
  EXPECT_EQ(Parse("Pabc\n.", options)->root().persistent_id()->string(), "abc");
}

TEST(Opcodes, StateOfAnOrderedDictIsIgnored) {
  const auto document = Parse("ccollections\nOrderedDict\n)R(U\1aK\1u}U\1xK\2sb."s);
  ASSERT_EQ(document->root().keys().size(), 1);
  EXPECT_EQ(document->root().Find("a")->int_value(), 1);
}

TEST(Opcodes, OffsetsPointAtTheOpcode) {
  const auto document = Parse("\x80\2(K\1U\1ae."s.replace(2, 0, "]"));
  EXPECT_EQ(document->root().offset(), 2);
  EXPECT_EQ(document->root().items()[0]->offset(), 4);
  EXPECT_EQ(document->root().items()[1]->offset(), 6);
  const absl::Status status = document->Int(*document->root().items()[1]).status();
  EXPECT_EQ(status.message(), "test.pkl: byte 6: expected an integer, got str 'a'");
}

TEST(Opcodes, WhatFollowsStopIsLeftAlone) { EXPECT_EQ(Parse("N.garbage")->pickle_size(), 2); }

TEST(Numbers, NestedListsAndArrays) {
  const auto document = Parse("]((K\1G\x3f\xe0\0\0\0\0\0\0t(\x88K\4te."s);  // [(1, 0.5), (True, 4)]
  EXPECT_EQ(*document->NumbersShape(document->root()), (std::vector<int64_t>{2, 2}));
  std::vector<float> numbers(4);
  ASSERT_TRUE(document->CopyNumbers(document->root(), absl::MakeSpan(numbers)).ok());
  EXPECT_EQ(numbers, (std::vector<float>{1, 0.5, 1, 4}));
  std::vector<int64_t> ints(4);
  const absl::Status status = document->CopyNumbers(document->root(), absl::MakeSpan(ints));
  EXPECT_EQ(status.message(), "test.pkl: byte 5: expected an integer, got float 0.5");
  std::vector<float> small(3);
  EXPECT_FALSE(document->CopyNumbers(document->root(), absl::MakeSpan(small)).ok());
}

TEST(Numbers, RaggedOrForeignRowsAreErrors) {
  auto document = Parse("]((K\1K\2t(K\3te."s);
  EXPECT_EQ(document->NumbersShape(document->root()).status().message(),
            "test.pkl: byte 11: expected numbers of shape [2] as in the first row, got tuple of 1");
  document = Parse("](K\1U\1ae."s);
  EXPECT_EQ(document->NumbersShape(document->root()).status().message(),
            "test.pkl: byte 4: expected a number, a numeric array or a list of these, got str 'a'");
}

TEST(Numbers, CyclesAndSharedRowsEnd) {
  auto document = Parse("]q\0h\0a."s);
  EXPECT_FALSE(document->NumbersShape(document->root()).ok());
  // Seven levels of a thousand references to the level below: 10^21 numbers.
  std::string bytes = "K\1q\0"s;
  for (char level = 0; level < 7; ++level) {
    bytes += "](";
    for (int i = 0; i < 1000; ++i) bytes += "h"s + level;
    bytes += "eq"s + static_cast<char>(level + 1);
  }
  document = Parse(bytes + ".");
  const absl::Status status = document->NumbersShape(document->root()).status();
  EXPECT_TRUE(absl::StrContains(status.message(), "more numbers than")) << status;
}

TEST(Numbers, HalfPrecision) {
  // 1, -2, the largest, the smallest subnormal, infinity
  const auto document = Parse(
      "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R"
      "(K\1K\5\x85"
      "cnumpy\ndtype\nU\2f2K\0K\1\x87R(K\3U\1<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
      "\x89U\x0a\0\x3c\0\xc0\xff\x7b\1\0\0\x7ctb."s);
  std::vector<double> numbers(5);
  ASSERT_TRUE(document->CopyNumbers(document->root(), absl::MakeSpan(numbers)).ok());
  EXPECT_EQ(numbers,
            (std::vector<double>{1, -2, 65504, 0x1p-24, std::numeric_limits<double>::infinity()}));
}

TEST(Open, NamesWhatIsWrongWithTheFile) {
  const std::string folder = testing::TempDir();
  absl::Status status = Document::Open(absl::StrCat(folder, "/none.pkl")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(status.message(), "none.pkl")) << status;
  status = Document::Open(folder).status();
  EXPECT_TRUE(absl::StrContains(status.message(), "is a directory")) << status;
  const std::string empty = absl::StrCat(folder, "/empty.pkl");
  std::ofstream{empty};
  status = Document::Open(empty).status();
  EXPECT_EQ(status.message(),
            absl::StrCat(empty, ": byte 0: the file is empty: expected a pickle"));
}

}  // namespace
}  // namespace cmerc::pickle
