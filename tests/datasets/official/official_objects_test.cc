// Files that hold more than plain data: objects where nobody looks, and arrays and lists in
// disguise where a reader does.
#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/dataset.h"
#include "datasets/official/official_pickles.pb.h"
#include "tests/storage/pickle/program.h"

namespace cmerc {
namespace {

using namespace pickle::program;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using Options = OfficialPicklesOptions;
using Strings = std::vector<std::string>;

// The nine fields of IEMOCAP_features.pkl, each as the program of a pickle: conversation 5 of two
// utterances, 6 and 7 of one. A test replaces some of them.
struct Fields {
  std::string ids = Dict({});
  std::string speakers = Dict(
      {Int(5), List({Text("A"), Text("B")}), Int(6), List({Text("B")}), Int(7), List({Text("A")})});
  std::string labels =
      Dict({Int(5), List({Int(0), Int(1)}), Int(6), List({Int(1)}), Int(7), List({Int(0)})});
  std::string text = Dict({Int(5), Array({2, 2}, "f4", FloatData({1, 2, 3, 4})), Int(6),
                           Array({1, 2}, "f4", FloatData({5, 6})), Int(7),
                           Array({1, 2}, "f4", FloatData({7, 8}))});
  std::string audio =
      Dict({Int(5), Array({2, 1}, "f4", FloatData({1, 2})), Int(6),
            Array({1, 1}, "f4", FloatData({3})), Int(7), Array({1, 1}, "f4", FloatData({4}))});
  std::string visual = audio;
  std::string sentences = Dict(
      {Int(5), List({Text("a"), Text("b")}), Int(6), List({Text("c")}), Int(7), List({Text("d")})});
  std::string train = List({Int(5), Int(6)});
  std::string test = List({Int(7)});
};

class OfficialObjectsTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Dataset>> Load() {
    const std::string path = testing::TempDir() + "/objects.pkl";
    std::ofstream(path, std::ios::binary)
        << "\x80\x02"
        << Tuple({fields_.ids, fields_.speakers, fields_.labels, fields_.text, fields_.audio,
                  fields_.visual, fields_.sentences, fields_.train, fields_.test})
        << ".";
    options_.set_features_file(path);
    google::protobuf::Any any;
    any.PackFrom(options_);
    return Datasets().Create(any);
  }
  std::unique_ptr<Dataset> MustLoad() {
    auto dataset = Load();
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    return dataset.ok() ? *std::move(dataset) : nullptr;
  }
  std::string Error() {
    const absl::Status status = Load().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }
  // The features of conversation 5.
  void ExpectText(const torch::Tensor& expected) {
    const auto dataset = MustLoad();
    if (dataset == nullptr) return;
    EXPECT_TRUE(torch::equal(dataset->Get(0)->features[0][0], expected))
        << dataset->Get(0)->features[0][0];
  }
  void SetText(const std::string& of_five) {
    fields_.text = Dict({Int(5), of_five, Int(6), Array({1, 2}, "f4", FloatData({5, 6})), Int(7),
                         Array({1, 2}, "f4", FloatData({7, 8}))});
  }

  Fields fields_;
  Options options_;
};

std::string Unknown() { return Call(Global("datetime", "datetime"), {Bytes("2026")}); }

TEST_F(OfficialObjectsTest, WhatNobodyReadsMayBeAnything) {
  fields_.ids = Dict({Int(5), Unknown(), Unknown(), Global("numpy", "mean")});
  EXPECT_NE(MustLoad(), nullptr);
}

TEST_F(OfficialObjectsTest, AnUnknownObjectIsNamedWhereItsValueIsNeeded) {
  SetText(Unknown());
  fields_.audio = Dict({Int(5), List({Unknown(), Unknown()}), Int(6), None(), Int(7), None()});
  EXPECT_THAT(Error(),
              AllOf(HasSubstr("objects.pkl: conversation 5: text (data[3]) is object of class "
                              "datetime.datetime, want a matrix or a list of vectors; make it "
                              "plain in Python, x = str(x), and dump the file again "
                              "(docs/your_own_data.md)"),
                    HasSubstr("audio (data[4]) utterance 0 has object of class datetime.datetime"),
                    Not(HasSubstr("hostile"))));
  fields_ = Fields();
  fields_.train = Unknown();
  EXPECT_THAT(Error(), HasSubstr("the train list (data[7]) is not a list of conversation ids"));
  fields_ = Fields();
  fields_.visual = New(Global("m", "Lazy"), {});
  EXPECT_THAT(Error(), HasSubstr("data[5]  object of class m.Lazy"));
  fields_ = Fields();
  fields_.ids = Call(Global("os", "system"), {Text("true")});
  EXPECT_THAT(Error(), HasSubstr("global os.system is not allowed: the file may be hostile"));
}

TEST_F(OfficialObjectsTest, SentencesThatAreNotThere) {
  fields_.sentences = Dict(
      {Int(5), List({None(), Text("b")}), Int(6), List({Float(std::nan(""))}), Int(7), None()});
  const auto dataset = MustLoad();
  ASSERT_NE(dataset, nullptr);
  EXPECT_EQ(dataset->Get(0)->utterances, Strings({"", "b"}));
  EXPECT_EQ(dataset->Get(1)->utterances, Strings({""}));
  EXPECT_TRUE(dataset->Get(2)->utterances.empty());
  fields_.sentences = Dict({});
  EXPECT_TRUE(MustLoad()->Get(0)->utterances.empty());
  fields_.sentences = Dict({Int(5), List({Float(1.5), Text("b")})});
  EXPECT_THAT(Error(), HasSubstr("sentences (data[6]) byte "));
}

TEST_F(OfficialObjectsTest, TensorsMatricesAndFramesAreFeatures) {
  const torch::Tensor expected = torch::tensor({{1.F, 2.F}, {3.F, 4.F}});
  const std::string data = FloatData({1, 2, 3, 4});
  SetText(Tensor("FloatStorage", 4, data, 0, {2, 2}, {2, 1}));
  ExpectText(expected);
  SetText(Tensor("FloatStorage", 4, FloatData({1, 3, 2, 4}), 0, {2, 2}, {1, 2}));
  ExpectText(expected);
  SetText(List({Tensor("FloatStorage", 4, data, 0, {2}, {1}),
                Tensor("FloatStorage", 4, data, 2, {2}, {1})}));
  ExpectText(expected);
  SetText(Array({2, 2}, "f4", data, "numpy", "matrix"));
  ExpectText(expected);
  SetText(List({Array({1, 2}, "f4", FloatData({1, 2}), "numpy", "matrix"),
                Array({1, 2}, "f4", FloatData({3, 4}), "numpy", "matrix")}));
  ExpectText(expected);
  const std::string block =
      Call(Global("pandas._libs.internals", "_unpickle_block"),
           {Array({2, 2}, "f4", FloatData({1, 3, 2, 4})),  // [columns, rows]
            Call(Global("builtins", "slice"), {Int(0), Int(2), Int(1)}), Int(2)});
  SetText(Build(New(Global("pandas.core.frame", "DataFrame"), {}),
                Dict({Text("_mgr"), Call(Global("pandas.core.internals.managers", "BlockManager"),
                                         {Tuple({block}), List({})})})));
  ExpectText(expected);
}

TEST_F(OfficialObjectsTest, ObjectsOfNumbersAreFeatures) {
  const std::string matrix =
      Build(Call(Global("numpy.core.multiarray", "_reconstruct"),
                 {Global("numpy", "ndarray"), Tuple({Int(0)}), Bytes("b")}),
            Tuple({Int(1), Tuple({Int(2), Int(2)}), NumpyType("O8"), Bool(false),
                   List({Float(1), Int(2), Float(3), Int(4)})}));
  SetText(matrix);
  ExpectText(torch::tensor({{1.F, 2.F}, {3.F, 4.F}}));
}

TEST_F(OfficialObjectsTest, MaskedArraysAreReadUnlessSomethingIsMasked) {
  const auto masked = [](const std::string& mask) {
    return Build(Call(Global("numpy.ma.core", "_mareconstruct"),
                      {Global("numpy.ma.core", "MaskedArray"), Global("numpy", "ndarray"),
                       Tuple({Int(0)}), Bytes("b")}),
                 Tuple({Int(1), Tuple({Int(2), Int(2)}), NumpyType("f4"), Bool(false),
                        Bytes(FloatData({1, 2, 3, 4})), Bytes(mask), None()}));
  };
  SetText(masked(std::string(4, '\0')));
  ExpectText(torch::tensor({{1.F, 2.F}, {3.F, 4.F}}));
  SetText(masked(std::string("\0\0\1\0", 4)));
  EXPECT_THAT(Error(), AllOf(HasSubstr("numpy.ma.core.MaskedArray"), HasSubstr("x.filled(0)")));
}

TEST_F(OfficialObjectsTest, ListsOfIdsInDisguise) {
  const std::string index =
      Call(Global("pandas.core.indexes.base", "_new_Index"),
           {Global("pandas", "Index"),
            Dict({Text("data"), Array({2}, "i8", IntData({6, 5})), Text("name"), None()})});
  const std::string series_of_text = Build(
      New(Global("pandas", "Series"), {}),
      Dict({Text("_mgr"),
            Build(New(Global("pandas.core.internals.managers", "SingleBlockManager"), {}),
                  Tuple({List({}), List({}), List({}),
                         Dict({Text("0.14.1"),
                               Dict({Text("axes"), List({}), Text("blocks"),
                                     List({Dict({Text("values"), Array({2}, "i8", IntData({6, 5})),
                                                 Text("mgr_locs"), None()})})})})}))}));
  for (const std::string& list :
       {Call(Global("builtins", "range"), {Int(6), Int(4), Int(-1)}),
        Dict({Int(6), None(), Int(5), None()}), index, series_of_text,
        Call(Global("collections", "deque"), {Tuple({Int(6), Int(5)})})}) {
    fields_.train = list;
    options_.set_valid_fraction(0);
    const auto dataset = MustLoad();
    ASSERT_NE(dataset, nullptr);
    ASSERT_EQ(dataset->split(Split::kTrain).size(), 2U);
    EXPECT_EQ(dataset->Get(dataset->split(Split::kTrain)[0])->id, "6");
    EXPECT_EQ(dataset->Get(dataset->split(Split::kTrain)[1])->id, "5");
  }
}

TEST_F(OfficialObjectsTest, ANamedTupleIsATupleOfFields) {
  const std::string path = testing::TempDir() + "/named.pkl";
  std::ofstream(path, std::ios::binary)
      << "\x80\x02"
      << New(Global("corpus", "Corpus"),
             {fields_.ids, fields_.speakers, fields_.labels, fields_.text, fields_.audio,
              fields_.visual, fields_.sentences, fields_.train, fields_.test})
      << ".";
  options_.set_features_file(path);
  google::protobuf::Any any;
  any.PackFrom(options_);
  const auto dataset = Datasets().Create(any);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->size(), 3);
}

TEST_F(OfficialObjectsTest, ModalitiesThatAreNotChosenNeedNotBeGood) {
  fields_.audio = None();
  fields_.visual = Dict({Int(5), Unknown()});
  EXPECT_THAT(Error(), HasSubstr("data[4]  None"));
  options_.add_modalities("text");
  const auto text = MustLoad();
  ASSERT_NE(text, nullptr);
  ASSERT_EQ(text->info().modalities.size(), 1U);
  EXPECT_EQ(text->info().modalities[0].name, "text");
  EXPECT_EQ(text->Get(0)->features[0][0].size(1), 2);
  // Two of them, in the order of the file; the third is as bad as before.
  fields_ = Fields();
  fields_.text = None();
  options_.clear_modalities();
  options_.add_modalities("visual");
  options_.add_modalities("audio");
  const auto others = MustLoad();
  ASSERT_NE(others, nullptr);
  ASSERT_EQ(others->info().modalities.size(), 2U);
  EXPECT_EQ(others->info().modalities[0].name, "audio");
  // A name that is none is for data.modalities to refuse, with the names that there are.
  fields_ = Fields();
  options_.add_modalities("smell");
  EXPECT_EQ(MustLoad()->info().modalities.size(), 3U);
}

TEST_F(OfficialObjectsTest, LabelsInAColumn) {
  fields_.labels = Dict({Int(5), Array({2, 1}, "i8", IntData({1, 0})), Int(6), List({Int(1)}),
                         Int(7), List({Int(0)})});
  EXPECT_TRUE(torch::equal(MustLoad()->Get(0)->labels, torch::tensor({1, 0}, torch::kInt64)));
}

}  // namespace
}  // namespace cmerc
