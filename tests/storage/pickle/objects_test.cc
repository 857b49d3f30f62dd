// Objects that are no plain data: those that stand for some are read, others are kept and named.
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "storage/pickle/pickle.h"
#include "tests/storage/pickle/fixtures.h"
#include "tests/storage/pickle/program.h"

namespace cmerc::pickle {
namespace {

using namespace program;
using Numbers = std::vector<double>;
using Shape = std::vector<int64_t>;
using Strings = std::vector<std::string>;

std::unique_ptr<Document> Parse(const std::string& program, const Options& options = {}) {
  absl::StatusOr<std::unique_ptr<Document>> document =
      Document::Parse("\x80\x02" + program + ".", "test.pkl", options);
  EXPECT_TRUE(document.ok()) << document.status();
  return document.ok() ? *std::move(document) : nullptr;
}

Numbers NumbersOf(const Document& document, const Value& value) {
  const auto shape = document.NumbersShape(value);
  EXPECT_TRUE(shape.ok()) << shape.status();
  if (!shape.ok()) return {};
  int64_t size = 1;
  for (const int64_t length : *shape) size *= length;
  Numbers numbers(size);
  const absl::Status status = document.CopyNumbers(value, absl::MakeSpan(numbers));
  EXPECT_TRUE(status.ok()) << status;
  return numbers;
}

// The numbers of the one object of a program.
Numbers NumbersOf(const std::string& program) {
  const auto document = Parse(program);
  return document != nullptr ? NumbersOf(*document, document->root()) : Numbers();
}

std::string Described(const std::string& program) {
  const auto document = Parse(program);
  return document != nullptr ? Describe(document->root()) : "";
}

std::string Advice(const std::string& program) {
  const auto document = Parse(program);
  return document != nullptr ? HowToConvert(document->root()) : "";
}

// What data/generate_objects.py writes, with three versions of NumPy and pandas.
class RealObjectsTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<Document>> document =
        Document::Open(absl::StrCat("tests/storage/pickle/data/objects/", GetParam()));
    ASSERT_TRUE(document.ok()) << document.status();
    document_ = *std::move(document);
  }

  const Value& Get(absl::string_view key) const {
    const Value* value = document_->root().Find(key);
    EXPECT_NE(value, nullptr) << key;
    return value != nullptr ? *value : document_->root();
  }

  void ExpectNumbers(absl::string_view key, const Shape& shape, const Numbers& numbers) const {
    SCOPED_TRACE(std::string(key));
    EXPECT_EQ(*document_->NumbersShape(Get(key)), shape);
    EXPECT_EQ(NumbersOf(*document_, Get(key)), numbers);
  }

  void ExpectTexts(absl::string_view key, const Strings& texts) const {
    const auto found = document_->Texts(Get(key));
    ASSERT_TRUE(found.ok()) << key << ": " << found.status();
    EXPECT_EQ(*found, texts) << key;
  }

  std::unique_ptr<Document> document_;
};

TEST_P(RealObjectsTest, ArraysInDisguise) {
  const Numbers six = {0, 1, 2, 3, 4, 5};
  for (const char* key : {"matrix", "unmasked", "memmap_like", "objects", "frame"}) {
    ExpectNumbers(key, {2, 3}, six);
  }
  ExpectNumbers("permuted", {3, 2, 4}, {0,  1,  2,  3,  12, 13, 14, 15, 4,  5,  6,  7,
                                        16, 17, 18, 19, 8,  9,  10, 11, 20, 21, 22, 23});
  ExpectNumbers("range", {3}, {2, 5, 8});
  ExpectNumbers("down", {3}, {5, 3, 1});
  ExpectNumbers("frame_of_types", {2, 3}, {1, 0.5, 3, 2, 1.5, 4});
  ExpectNumbers("frame_of_ints", {2, 2}, {1, 3, 2, 4});
  ExpectNumbers("frame_slice", {2, 3}, {5, 7, 9, 10, 12, 14});
  ExpectNumbers("series", {3}, {3, 1, 2});
  ExpectNumbers("series_slice", {3}, {2, 4, 6});
  ExpectNumbers("series_nullable", {2}, {1, 2});
  ExpectNumbers("index", {2}, {3, 1});
  ExpectNumbers("range_index", {4}, {0, 1, 2, 3});
  EXPECT_TRUE(absl::StrContains(Describe(Get("series")), "Series, int64 array of shape [3]"));
  EXPECT_EQ(Describe(Get("matrix")), "numpy.matrix, float32 array of shape [2, 3]");
  EXPECT_EQ(HowToConvert(Get("series")), "");
}

TEST_P(RealObjectsTest, TextsAndObjectsInDisguise) {
  ExpectTexts("series_of_texts", {"x", "y"});
  ExpectTexts("series_of_categories", {"x", "y", "x"});
  ExpectTexts("series_string", {"a", "b"});
  ExpectTexts("index_of_texts", {"a", "c"});
  const absl::Span<const Value* const> mixed = Get("series_of_objects").items();
  ASSERT_EQ(mixed.size(), 3);
  EXPECT_EQ(mixed[0]->int_value(), 1);
  EXPECT_TRUE(mixed[1]->is_none());
  EXPECT_EQ(mixed[2]->string(), "a");
  const absl::Span<const Value* const> categorical = Get("categorical").items();
  ASSERT_EQ(categorical.size(), 3);
  EXPECT_EQ(categorical[0]->string(), "b");
  EXPECT_TRUE(categorical[1]->is_none());
  EXPECT_EQ(categorical[2]->string(), "a");
  const Value& frame = Get("frame_of_texts");  // by rows, though the file has columns
  ASSERT_EQ(frame.items().size(), 4);
  EXPECT_EQ(frame.items()[1]->string(), "x");
  EXPECT_EQ(frame.items()[2]->string(), "q");
}

TEST_P(RealObjectsTest, ContainersInDisguise) {
  EXPECT_EQ(NumbersOf(*document_, Get("iterator")), Numbers({8, 9}));
  EXPECT_EQ(NumbersOf(*document_, Get("deque")), Numbers({1, 2}));
  EXPECT_EQ(NumbersOf(*document_, Get("user_list")), Numbers({1, 2}));
  EXPECT_EQ(Get("namedtuple").kind(), Kind::kTuple);
  EXPECT_EQ(NumbersOf(*document_, Get("namedtuple")), Numbers({1, 2, 3}));
  EXPECT_EQ(Get("counter").Find("a")->int_value(), 2);
  EXPECT_EQ(Get("user_dict").Find("a")->int_value(), 1);
  EXPECT_EQ(Get("table").Find("a")->int_value(), 1);
  ExpectTexts("words", {"a", "b"});
  EXPECT_EQ(Get("name").string(), "Ann");
}

TEST_P(RealObjectsTest, WhatHasNoPlainValueIsKeptAndNamed) {
  for (const auto& [key, name, line] :
       std::vector<std::tuple<const char*, const char*, const char*>>{
           {"masked", "MaskedArray", "x = x.filled(0),"},
           {"complex", "complex64 array of shape [2, 3]", "x = x.real,"},
           {"dates", "datetime64 array of shape [1]", "x = x.astype(str),"},
           {"date_scalar", "datetime64 array of shape []", "x = x.astype(str),"},
           {"structured", "void array of shape [2]", "structured_to_unstructured(x),"},
           {"series_with_missing", "Series", "x = x.to_numpy(),"},
           {"series_of_dates", "Series", "x = x.to_numpy(),"},
           {"frame_mixed", "DataFrame", "x = x.to_numpy(),"},
           {"multi_index", "MultiIndex", "x = x.to_numpy(),"},
           {"timestamp", "timestamp", "x = str(x),"},
           {"enum", "__main__.Color", "x = x.value,"},
           {"record", "__main__.Record", "x = list(vars(x).values()),"},
           {"decimal", "decimal.Decimal", "x = float(x),"},
           {"date", "datetime.date", "x = str(x),"},
           {"path", "pathlib.PurePosixPath", "x = str(x),"},
           {"huge_range", "range", "x = list(x),"}}) {
    const Value& value = Get(key);
    const absl::Status status = document_->NumbersShape(value).status();
    EXPECT_TRUE(absl::StrContains(status.message(), name)) << key << ": " << status;
    EXPECT_TRUE(absl::StrContains(status.message(), line)) << key << ": " << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "docs/your_own_data.md")) << status;
    EXPECT_FALSE(absl::StrContains(status.message(), "hostile")) << status;
  }
  EXPECT_EQ(Get("odd_keys").keys().size(), 5);
  EXPECT_EQ(Get("function").kind(), Kind::kGlobal);
  EXPECT_EQ(Get("function").global_name(), "numpy.mean");
}

INSTANTIATE_TEST_SUITE_P(All, RealObjectsTest,
                         testing::Values("numpy1_pandas1_p4.pkl", "numpy1_pandas2_p2.pkl",
                                         "numpy2_pandas3_p4.pkl"),
                         [](const testing::TestParamInfo<std::string>& info) {
                           return info.param.substr(0, info.param.size() - 4);
                         });

TEST(Objects, AreRefusedWhereAllIsNeeded) {
  Options options;
  options.refuse_unknown = true;
  options.allowed_globals = {"m.Allowed"};
  const auto status = [&](const std::string& program) {
    return Document::Parse(program + ".", "test.pkl", options).status();
  };
  EXPECT_TRUE(status(Call(Global("m", "Allowed"), {})).ok());
  EXPECT_EQ(
      status(Call(Global("m", "Net"), {})).message(),
      "test.pkl: byte 0: global m.Net is not allowed; expected only NumPy arrays, scalars and "
      "dtypes, sets, bytes, OrderedDict and defaultdict, m.Allowed");
  EXPECT_FALSE(status(Call(Global("builtins", "range"), {Int(0), Int(3), Int(1)})).ok());
}

TEST(Objects, NamedTuplesOfProtocols1And2) {
  EXPECT_EQ(NumbersOf(New(Global("__main__", "Pair"), {Int(3), Int(4)})), Numbers({3, 4}));
  EXPECT_EQ(NumbersOf(Call(Global("copy_reg", "_reconstructor"),
                           {Global("__main__", "Pair"), Global("__builtin__", "tuple"),
                            Tuple({Int(5), Int(6)})})),
            Numbers({5, 6}));
  EXPECT_EQ(NumbersOf(Call(Global("copyreg", "__newobj__"),
                           {Global("__main__", "Pair"), Int(7), Int(8)})),
            Numbers({7, 8}));
  // With a state it is another class.
  const std::string other = Build(New(Global("__main__", "Odd"), {Int(3), Int(4)}), Dict({}));
  EXPECT_EQ(Described(other), "object of class __main__.Odd");
  // Without, and by a call, it is made by a function.
  EXPECT_EQ(Described(Call(Global("m", "make"), {Int(3), Int(4)})), "object of class m.make");
}

TEST(Objects, TheResultOfAResultIsNamedByItsBeginning) {
  std::string program = Call(Global("m", "make"), {});
  for (int i = 0; i < 100000; ++i) program += ")R";
  EXPECT_EQ(Described(program), "object of class m.make");
}

TEST(Objects, ExtendedPrecision) {
  // 1.5, -2, 0 with something in the padding.
  const std::string data(
      "\0\0\0\0\0\0\0\xc0\xff\x3f\1\2\3\4\5\6"
      "\0\0\0\0\0\0\0\x80\0\xc0\0\0\0\0\0\0"
      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x5a\x3e",
      48);
  EXPECT_EQ(NumbersOf(Array({3}, "f16", data)), Numbers({1.5, -2, 0}));
  // One number with padding, and 1.0 twice as IEEE's binary128 has it, might be something else.
  for (const std::string& other : {Array({1}, "f16", data.substr(0, 16)),
                                   Array({2}, "f16",
                                         std::string("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\x3f"
                                                     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\x3f",
                                                     32))}) {
    EXPECT_TRUE(absl::StrContains(Described(other), "float128 array"));
    EXPECT_TRUE(absl::StrContains(Advice(other), "x = x.astype('f4')"));
  }
}

TEST(Objects, TypesThatAreNotNumPys) {
  const std::string bfloat16 =
      Call(Global("numpy", "dtype"), {Global("ml_dtypes", "bfloat16"), Bool(false), Bool(true)});
  const auto array = [&](const std::string& dtype, const std::string& data) {
    return Build(Call(Global("numpy._core.multiarray", "_reconstruct"),
                      {Global("numpy", "ndarray"), Tuple({Int(0)}), Bytes("b")}),
                 Tuple({Int(1), Tuple({Int(2)}), dtype, Bool(false), data}));
  };
  EXPECT_EQ(NumbersOf(array(bfloat16, Bytes(std::string("\xc0\x3f\0\xc0", 4)))),
            Numbers({1.5, -2}));
  const std::string texts =
      array(Call(Global("numpy.dtypes", "StringDType"), {}), List({Text("a"), Text("b")}));
  const auto document = Parse(texts);
  EXPECT_EQ(*document->Texts(document->root()), Strings({"a", "b"}));
}

TEST(Tensors, AreReadWhereTheyLie) {
  const std::string data = FloatData({0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(NumbersOf(Tensor("FloatStorage", 8, data, 2, {2, 3}, {3, 1})),
            Numbers({2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(Described(Tensor("FloatStorage", 8, data, 2, {2, 3}, {3, 1})),
            "torch.Tensor, float32 array of shape [2, 3]");
  EXPECT_EQ(NumbersOf(Tensor("FloatStorage", 8, data, 0, {2, 3}, {1, 2})),  // transposed
            Numbers({0, 2, 4, 1, 3, 5}));
  EXPECT_EQ(NumbersOf(Tensor("FloatStorage", 8, data, 1, {2, 2}, {4, 2})),  // every other column
            Numbers({1, 3, 5, 7}));
  EXPECT_EQ(NumbersOf(Tensor("FloatStorage", 8, data, 3, {2, 2}, {0, 1})),  // expanded
            Numbers({3, 4, 3, 4}));
  EXPECT_EQ(NumbersOf(Tensor("FloatStorage", 8, data, 7, {}, {})), Numbers({7}));
  EXPECT_EQ(NumbersOf(Tensor("LongStorage", 2, IntData({-5, 9}), 0, {2}, {1})), Numbers({-5, 9}));
  EXPECT_EQ(NumbersOf(Tensor("BFloat16Storage", 2, std::string("\xc0\x3f\0\xc0", 4), 0, {2}, {1})),
            Numbers({1.5, -2}));
  const std::string parameter =
      Call(Global("torch._utils", "_rebuild_parameter"),
           {Tensor("FloatStorage", 2, FloatData({1, 2}), 0, {2}, {1}), Bool(true), Dict({})});
  EXPECT_EQ(NumbersOf(parameter), Numbers({1, 2}));
}

TEST(Tensors, ThatCannotBeReadAreKept) {
  const std::string data = FloatData({0, 1, 2, 3});
  for (const std::string& tensor :
       {Tensor("FloatStorage", 4, data, 1, {4}, {1}),                    // beyond the storage
        Tensor("FloatStorage", 5, data, 0, {4}, {1}),                    // longer than its data
        Tensor("FloatStorage", 4, data, 0, {1 << 20, 1 << 20}, {0, 0}),  // 4 TiB of one number
        Tensor("FloatStorage", 4, data, 0, {int64_t{1} << 62, 8}, {0, 0}),
        Tensor("FloatStorage", 4, data, 0, {-1}, {1}),
        Tensor("FloatStorage", 4, data, 3, {2}, {-1}),
        Tensor("QUInt8Storage", 4, data, 0, {4}, {1})}) {
    EXPECT_EQ(Described(tensor), "object of class torch.Tensor");
    EXPECT_TRUE(absl::StrContains(Advice(tensor), "x = x.detach().cpu().float().numpy(),"));
  }
  // A view that negates what is stored.
  std::string negated = Tensor("FloatStorage", 4, data, 0, {4}, {1});
  negated.insert(negated.size() - 2, Dict({Text("neg"), Bool(true)}));
  EXPECT_EQ(Described(negated), "object of class torch.Tensor");
  // Other bytes, cut short anywhere, are no storage.
  const std::string storage = LegacyStorage("FloatStorage", 4, data);
  for (size_t size = 0; size < storage.size(); ++size) {
    EXPECT_EQ(Described(Call(Global("torch.storage", "_load_from_bytes"),
                             {Bytes(storage.substr(0, size))})),
              "object of class torch.storage._load_from_bytes");
  }
}

TEST(Tensors, OfOtherLibraries) {
  const std::string array = Array({2}, "f4", FloatData({4, 5}));
  EXPECT_EQ(
      NumbersOf(Call(Global("tensorflow.python.framework.ops", "convert_to_tensor"), {array})),
      Numbers({4, 5}));
  const std::string jax = Call(
      Global("jax._src.array", "_reconstruct_array"),
      {Global("numpy.core.multiarray", "_reconstruct"),
       Tuple({Global("numpy", "ndarray"), Tuple({Int(0)}), Bytes("b")}),
       Tuple({Int(1), Tuple({Int(2)}), NumpyType("f4"), Bool(false), Bytes(FloatData({6, 7}))}),
       Dict({})});
  EXPECT_EQ(NumbersOf(jax), Numbers({6, 7}));
  EXPECT_TRUE(
      absl::StrContains(Advice(Build(New(Global("scipy.sparse._csr", "csr_matrix"), {}), Dict({}))),
                        "x = x.toarray(),"));
}

TEST(Objects, AxesInAnyOrder) {
  // The buffer of protocol 5 for a [2, 3] array transposed twice over: shape [3, 2].
  const std::string program =
      Call(Global("numpy._core.numeric", "_frombuffer"),
           {Bytes(FloatData({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})), NumpyType("f4"),
            Tuple({Int(2), Int(3), Int(2)}), Text("K"), Tuple({Int(1), Int(0), Int(2)})});
  EXPECT_EQ(NumbersOf(program), Numbers({0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11}));
}

TEST(Objects, ViewsOfDicts) {
  EXPECT_EQ(NumbersOf(Call(Global("cloudpickle.cloudpickle", "_make_dict_keys"),
                           {List({Int(4), Int(2)})})),
            Numbers({4, 2}));
  EXPECT_EQ(NumbersOf(Call(Global("joblib.externals.cloudpickle.cloudpickle", "_make_dict_values"),
                           {List({Int(6)})})),
            Numbers({6}));
}

TEST(Objects, IntegersThatAreSpelledOut) {
  const auto document = Parse("(L18446744073709551616L\nL-18446744073709551617L\nL0099L\nl");
  const absl::Span<const Value* const> items = document->root().items();
  EXPECT_EQ(items[0]->kind(), Kind::kBigInt);
  EXPECT_EQ(items[0]->bytes(), std::string("\0\0\0\0\0\0\0\0\1", 9));
  EXPECT_EQ(items[1]->bytes(), std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xfe"));
  EXPECT_EQ(items[2]->int_value(), 99);
}

TEST(Objects, ArraysOfObjectsAreRead) {
  const auto object_array = [](const std::vector<int64_t>& shape, const std::string& items) {
    std::string lengths;
    for (const int64_t length : shape) lengths += Int(length);
    return Build(Call(Global("numpy.core.multiarray", "_reconstruct"),
                      {Global("numpy", "ndarray"), Tuple({Int(0)}), Bytes("b")}),
                 Tuple({Int(1), "(" + lengths + "t", NumpyType("O8"), Bool(false), items}));
  };
  EXPECT_EQ(NumbersOf(object_array({2, 1}, List({Int(3), Float(0.5)}))), Numbers({3, 0.5}));
  const std::string row = Array({2}, "f4", FloatData({1, 2}));
  EXPECT_EQ(NumbersOf(object_array({2}, List({row, List({Int(3), Int(4)})}))),
            Numbers({1, 2, 3, 4}));
  const auto ragged = Parse(object_array({2}, List({row, List({Int(3)})})));
  EXPECT_FALSE(ragged->NumbersShape(ragged->root()).ok());
  // An array of no axes that holds itself has no shape.
  const auto cycle =
      Parse(Build(Call(Global("numpy.core.multiarray", "_reconstruct"),
                       {Global("numpy", "ndarray"), Tuple({Int(0)}), Bytes("b")}) +
                      "q\1",
                  Tuple({Int(1), Tuple({}), NumpyType("O8"), Bool(false), List({"h\1"})})));
  EXPECT_FALSE(cycle->NumbersShape(cycle->root()).ok());
}

}  // namespace
}  // namespace cmerc::pickle
