#include "storage/pickle/writer.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "storage/pickle/pickle.h"

namespace cmerc::pickle {
namespace {

TEST(Writer, RoundTripOfScalarsAndContainers) {
  const std::vector<int64_t> ints = {0,
                                     1,
                                     -1,
                                     255,
                                     256,
                                     65535,
                                     65536,
                                     std::numeric_limits<int32_t>::max(),
                                     std::numeric_limits<int32_t>::min(),
                                     int64_t{1} << 31,
                                     std::numeric_limits<int64_t>::min(),
                                     std::numeric_limits<int64_t>::max()};
  Writer writer;
  writer.EmptyDict();
  writer.Mark();
  writer.String("ints"), writer.EmptyList(), writer.Mark();
  for (const int64_t value : ints) writer.Int(value);
  writer.Appends();
  writer.Int(-3), writer.Float(0.1);
  writer.String("n\u00f6"), writer.None(), writer.Bool(true), writer.Bool(false), writer.Tuple(3);
  writer.String("pair"), writer.Tuple(0), writer.Tuple(1), writer.Int(1), writer.Tuple(2);
  writer.String("long"), writer.Mark(), writer.Int(1), writer.Int(2), writer.Int(3), writer.Int(4),
      writer.TupleFromMark();
  writer.SetItems();
  const auto document = Document::Parse(std::move(writer).Finish(), "written.pkl");
  ASSERT_TRUE(document.ok()) << document.status();
  const Value& root = (*document)->root();
  ASSERT_EQ(root.keys().size(), 5);
  std::vector<int64_t> read;
  for (const Value* item : root.Find("ints")->items()) read.push_back(item->int_value());
  EXPECT_EQ(read, ints);
  EXPECT_EQ(root.Find(-3)->float_value(), 0.1);
  const Value& tuple = *root.Find("n\u00f6");
  ASSERT_EQ(tuple.items().size(), 3);
  EXPECT_TRUE(tuple.items()[0]->is_none());
  EXPECT_TRUE(tuple.items()[1]->bool_value());
  EXPECT_FALSE(tuple.items()[2]->bool_value());
  EXPECT_EQ(tuple.items()[2]->kind(), Kind::kBool);
  EXPECT_EQ(root.Find("pair")->items()[0]->items()[0]->kind(), Kind::kTuple);
  EXPECT_EQ(root.Find("long")->items()[3]->int_value(), 4);
}

TEST(Writer, TensorAsTorchWritesIt) {
  Writer writer;
  writer.EmptyDict();
  writer.Mark();
  writer.String("weight");
  writer.Global("torch._utils", "_rebuild_tensor_v2");
  writer.Mark();
  writer.Mark();
  writer.String("storage"), writer.Global("torch", "FloatStorage"), writer.String("0"),
      writer.String("cpu"), writer.Int(6);
  writer.TupleFromMark();
  writer.BinPersId();
  writer.Int(0);
  writer.Int(2), writer.Int(3), writer.Tuple(2);
  writer.Int(3), writer.Int(1), writer.Tuple(2);
  writer.Bool(false);
  writer.Global("collections", "OrderedDict"), writer.Tuple(0), writer.Reduce();
  writer.TupleFromMark();
  writer.Reduce();
  writer.SetItems();
  Options options;
  options.allow_persistent_ids = true;
  options.allowed_globals = {"torch._utils._rebuild_tensor_v2", "torch.FloatStorage"};
  const auto document = Document::Parse(std::move(writer).Finish(), "data.pkl", options);
  ASSERT_TRUE(document.ok()) << document.status();
  const Value& tensor = *(*document)->root().Find("weight");
  EXPECT_EQ(tensor.global_name(), "torch._utils._rebuild_tensor_v2");
  ASSERT_EQ(tensor.args()->items().size(), 6);
  const Value& id = *tensor.args()->items()[0]->persistent_id();
  EXPECT_EQ(id.items()[1]->global_name(), "torch.FloatStorage");
  EXPECT_EQ(tensor.args()->items()[2]->items()[1]->int_value(), 3);
  EXPECT_EQ(tensor.args()->items()[5]->kind(), Kind::kDict);
}

TEST(Writer, StateIsBuilt) {
  Writer writer;
  writer.Global("m", "f"), writer.Tuple(0), writer.Reduce(), writer.Int(5), writer.Build();
  Options options;
  options.allowed_globals = {"m.f"};
  const auto document = Document::Parse(std::move(writer).Finish(), "state.pkl", options);
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ((*document)->root().state()->int_value(), 5);
}

}  // namespace
}  // namespace cmerc::pickle
