// Every protocol, as Python 2.7 and 3 with NumPy 1 and 2 write it, read as Python 3 reads it with
// pickle.load(encoding="latin1").
#include "tests/storage/pickle/fixtures.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "storage/pickle/pickle.h"

namespace cmerc::pickle {
namespace {

class FixturesTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<Document>> document = Document::Open(GetParam());
    ASSERT_TRUE(document.ok()) << document.status();
    document_ = *std::move(document);
    ASSERT_EQ(document_->root().kind(), Kind::kDict);
  }

  const Value& Get(absl::string_view key) const {
    const Value* value = document_->root().Find(key);
    EXPECT_NE(value, nullptr) << key;
    return value != nullptr ? *value : document_->root();
  }

  std::vector<double> Numbers(const Value& value) const {
    std::vector<double> numbers(value.num_elements());
    const absl::Status status = value.CopyTo(absl::MakeSpan(numbers));
    EXPECT_TRUE(status.ok()) << status;
    return numbers;
  }

  bool python2() const { return absl::StrContains(GetParam(), "/py2_"); }
  bool protocol_below_2() const {
    return absl::StrContains(GetParam(), "p0.") || absl::StrContains(GetParam(), "p1.");
  }

  std::unique_ptr<Document> document_;
};

TEST_P(FixturesTest, ScalarsAndTexts) {
  EXPECT_TRUE(Get("none").is_none());
  ASSERT_EQ(Get("bools").items().size(), 2);
  EXPECT_EQ(Get("bools").items()[0]->kind(), Kind::kBool);
  EXPECT_TRUE(Get("bools").items()[0]->bool_value());
  EXPECT_EQ(Get("bools").items()[1]->kind(), Kind::kBool);
  EXPECT_FALSE(Get("bools").items()[1]->bool_value());

  const std::vector<int64_t> expected = {0,
                                         1,
                                         -1,
                                         255,
                                         256,
                                         65535,
                                         65536,
                                         std::numeric_limits<int32_t>::min(),
                                         int64_t{1} << 31,
                                         int64_t{1} << 62,
                                         std::numeric_limits<int64_t>::min()};
  std::vector<int64_t> ints;
  for (const Value* item : Get("ints").items()) {
    EXPECT_EQ(item->kind(), Kind::kInt);
    ints.push_back(item->int_value());
  }
  EXPECT_EQ(ints, expected);

  const absl::Span<const Value* const> floats = Get("floats").items();
  ASSERT_EQ(floats.size(), 6);
  EXPECT_EQ(floats[0]->float_value(), 0.5);
  EXPECT_EQ(floats[1]->float_value(), -2.0);
  EXPECT_EQ(floats[2]->float_value(), 1e-300);
  EXPECT_EQ(floats[3]->float_value(), 1e300);
  EXPECT_EQ(floats[4]->float_value(), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(floats[5]->float_value()));

  EXPECT_EQ(Get("text").string(), "caf\u00e9 \u2603 \U0001f600 \\u0041\n");
  if (python2()) {  // bytes is another name for str there
    EXPECT_EQ(Get("bytes").string(), std::string("\0\u00ff\n'\"\\", 7));
  } else {
    EXPECT_EQ(Get("bytes").bytes(), std::string("\0\xff\n'\"\\", 6));
  }
  EXPECT_EQ(Get("bytearray").bytes(), "\x01\xfe");
}

TEST_P(FixturesTest, IntegersBeyond64Bits) {
  if (protocol_below_2()) {
    EXPECT_EQ(document_->root().Find("big"), nullptr);
    return;
  }
  const absl::Span<const Value* const> big = Get("big").items();
  ASSERT_EQ(big.size(), 2);
  EXPECT_EQ(big[0]->kind(), Kind::kBigInt);
  EXPECT_EQ(big[0]->bytes(), std::string("\0\0\0\0\0\0\0\0\1", 9));
  EXPECT_EQ(big[1]->bytes(), std::string(12, '\0') + "\xf0");
}

TEST_P(FixturesTest, Containers) {
  for (size_t n = 0; n < 5; ++n) {
    const Value& tuple = *Get("tuples").items()[n];
    EXPECT_EQ(tuple.kind(), Kind::kTuple);
    ASSERT_EQ(tuple.items().size(), n);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(tuple.items()[i]->int_value(), int64_t(i) + 1);
  }
  EXPECT_EQ(Get("set").kind(), Kind::kSet);
  std::set<std::string> members;
  for (const Value* item : Get("set").items()) members.emplace(item->string());
  EXPECT_EQ(members, (std::set<std::string>{"a", "b"}));
  EXPECT_EQ(Get("frozenset").kind(), Kind::kSet);
  ASSERT_EQ(Get("frozenset").items().size(), 1);
  EXPECT_EQ(Get("frozenset").items()[0]->int_value(), 3);
  EXPECT_EQ(Get("empty_set").kind(), Kind::kSet);
  EXPECT_TRUE(Get("empty_set").items().empty());

  const Value& ordered = Get("ordered");
  EXPECT_EQ(ordered.kind(), Kind::kDict);
  ASSERT_EQ(ordered.keys().size(), 2);
  EXPECT_EQ(ordered.keys()[0]->string(), "z");
  EXPECT_EQ(ordered.values()[1]->int_value(), 2);

  ASSERT_NE(Get("default").Find("k"), nullptr);
  EXPECT_EQ(Get("default").Find("k")->items()[0]->int_value(), 1);

  const Value& keys = Get("keys");
  ASSERT_EQ(keys.keys().size(), 5);
  EXPECT_EQ(keys.Find(1)->string(), "int");
  EXPECT_EQ(keys.Find("s")->string(), "str");
  EXPECT_EQ(keys.Find("int"), nullptr);

  const Value& many = Get("many");
  ASSERT_EQ(many.keys().size(), 40);
  for (int64_t i = 0; i < 40; ++i) EXPECT_EQ(many.Find(i)->string(), std::to_string(i));
  EXPECT_EQ(many.Find(40), nullptr);
}

TEST_P(FixturesTest, SharedObjectsAreOneValueAndCyclesClose) {
  EXPECT_EQ(Get("shared").items()[0], Get("shared").items()[1]);
  EXPECT_EQ(Get("cycle").items()[1], &Get("cycle"));
}

TEST_P(FixturesTest, NumericArrays) {
  const Value& arrays = Get("arrays");
  ASSERT_EQ(arrays.keys().size(), 14);
  for (size_t a = 0; a < arrays.keys().size(); ++a) {
    const absl::string_view name = arrays.keys()[a]->string();
    SCOPED_TRACE(std::string(name));
    const Value& group = *arrays.values()[a];
    std::vector<double> expected = {0, 1, 2, 3, 4, 5};
    if (name == "?") expected = {0, 1, 0, 1, 0, 1};
    if (absl::StrContains(name, "f")) expected = {0, 0.5, 1, 1.5, 2, 2.5};

    for (const char* order : {"c", "fortran"}) {
      const Value& array = *group.Find(order);
      ASSERT_EQ(array.kind(), Kind::kArray);
      EXPECT_EQ(array.shape(), absl::Span<const int64_t>({2, 3}));
      EXPECT_EQ(array.fortran_order(), std::string(order) == "fortran");
      EXPECT_EQ(Numbers(array), expected);
      EXPECT_EQ(array.dtype().big_endian, name[0] == '>');
      std::vector<float> floats(6);
      ASSERT_TRUE(array.CopyTo(absl::MakeSpan(floats)).ok());
      EXPECT_EQ(std::vector<double>(floats.begin(), floats.end()), expected);
      std::vector<int64_t> ints(6);
      EXPECT_EQ(array.CopyTo(absl::MakeSpan(ints)).ok(), !absl::StrContains(name, "f"));
    }
    EXPECT_EQ(*document_->Number(*group.Find("scalar")), expected[3]);
    EXPECT_EQ(group.Find("scalar")->kind(), absl::StrContains(name, "f") ? Kind::kFloat
                                            : name == "?"                ? Kind::kBool
                                                                         : Kind::kInt);
    EXPECT_TRUE(group.Find("0d")->shape().empty());
    EXPECT_EQ(Numbers(*group.Find("0d")), std::vector<double>{expected[3]});
    EXPECT_EQ(group.Find("empty")->shape(), absl::Span<const int64_t>({0, 3}));
    EXPECT_TRUE(Numbers(*group.Find("empty")).empty());
  }
}

TEST_P(FixturesTest, OtherArrays) {
  std::vector<double> expected(24);
  for (int i = 0; i < 24; ++i) expected[i] = i;
  EXPECT_EQ(Numbers(Get("cube")), expected);
  EXPECT_EQ(Get("cube").shape(), absl::Span<const int64_t>({2, 3, 4}));

  std::vector<double> bytes(256);
  for (int i = 0; i < 256; ++i) bytes[i] = i;
  EXPECT_EQ(Numbers(Get("bytes_array")), bytes);

  const Value& objects = Get("objects");
  EXPECT_EQ(objects.shape(), absl::Span<const int64_t>({2, 2}));
  ASSERT_EQ(objects.items().size(), 4);
  EXPECT_EQ(objects.items()[0]->string(), "a");
  EXPECT_TRUE(objects.items()[1]->is_none());
  EXPECT_EQ(objects.items()[3]->int_value(), 3);

  EXPECT_EQ(*document_->Texts(Get("words_o")), (std::vector<std::string>{"yes", "no"}));
  EXPECT_EQ(*document_->Texts(Get("words_u")), (std::vector<std::string>{"yes", "n\u00f6"}));
  EXPECT_EQ(*document_->Texts(Get("words_s")), (std::vector<std::string>{"yes", "no"}));
  EXPECT_EQ(Get("str_scalar").string(), "n\u00f6");
  EXPECT_EQ(Get("dtype").kind(), Kind::kDType);
  EXPECT_EQ(Get("dtype").dtype().kind, 'f');
  EXPECT_EQ(Get("dtype").dtype().item_size, 4);
}

TEST_P(FixturesTest, MemoryStaysSmall) {
  const uint64_t size = ReadFile(GetParam()).size();
  EXPECT_EQ(document_->pickle_size(), size);
  EXPECT_LT(document_->memory_used(), 32 * size);
}

TEST_P(FixturesTest, EveryTruncationIsAnErrorThatNamesFileAndByte) {
  const std::string bytes = ReadFile(GetParam());
  for (size_t size = 0; size < bytes.size(); size += size < 64 ? 1 : 7) {
    const auto document = Document::Parse(bytes.substr(0, size), "cut.pkl");
    ASSERT_FALSE(document.ok()) << size;
    EXPECT_EQ(document.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StartsWith(document.status().message(), "cut.pkl: byte "))
        << document.status();
  }
}

INSTANTIATE_TEST_SUITE_P(All, FixturesTest, testing::ValuesIn(FixturePaths()),
                         [](const testing::TestParamInfo<std::string>& info) {
                           const size_t slash = info.param.rfind('/');
                           return info.param.substr(slash + 1, info.param.size() - slash - 5);
                         });

}  // namespace
}  // namespace cmerc::pickle
