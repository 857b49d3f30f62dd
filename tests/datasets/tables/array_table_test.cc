#include "datasets/tables/array_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <limits>

#include "absl/strings/str_cat.h"
#include "bytes/inflate.h"
#include "storage/pickle/writer.h"
#include "tests/bin/files.h"
#include "tests/bytes/packed.h"
#include "tests/storage/zip.h"

namespace cmerc::datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Path(const std::string& name, const std::string& contents) {
  const std::string path = absl::StrCat(NewFolder(), "/", name);
  WriteFile(path, contents);
  return path;
}

std::string ProblemOf(const std::string& path) {
  const auto table = ArrayTable::Open(path);
  return table.ok() ? "" : std::string(table.status().message());
}

// What the table holds of an id: rows, width, and then the values; or the message of the error.
std::string Read(const ArrayTable& table, const std::string& id) {
  const absl::StatusOr<TableShape> shape = table.ShapeOf(id);
  if (!shape.ok()) return std::string(shape.status().message());
  std::vector<float> values(shape->rows * shape->width);
  const absl::Status status = table.Copy(id, absl::MakeSpan(values));
  if (!status.ok()) return std::string(status.message());
  std::string text = absl::StrCat(shape->rows, "x", shape->width, ":");
  for (const float value : values) absl::StrAppend(&text, " ", value);
  return text;
}

// The only id of a table with one array.
std::string ReadNpy(const std::string& npy) {
  const auto table = ArrayTable::Open(Path("t.npz", Zip({{"x.npy", npy}})));
  return table.ok() ? Read(**table, "x") : std::string(table.status().message());
}

const char kTwoByThree[] = "2x3: 1 2 3 4 5 6";

TEST(ArrayTableTest, ReadsEveryTypeOfNumberFromAnNpz) {
  const std::string shape = "(2, 3)";
  EXPECT_EQ(ReadNpy(Npy("<f4", shape, BytesOf<float>({1, 2, 3, 4, 5, 6}))), kTwoByThree);
  EXPECT_EQ(ReadNpy(Npy("<f8", shape, BytesOf<double>({1, 2, 3, 4, 5, 6}))), kTwoByThree);
  EXPECT_EQ(ReadNpy(Npy("<i8", shape, BytesOf<int64_t>({1, 2, 3, 4, 5, 6}))), kTwoByThree);
  EXPECT_EQ(ReadNpy(Npy("|u1", shape, BytesOf<uint8_t>({1, 2, 3, 4, 5, 6}))), kTwoByThree);
  EXPECT_EQ(ReadNpy(Npy("<i2", shape, BytesOf<int16_t>({1, 2, 3, 4, 5, 6}))), kTwoByThree);
  EXPECT_EQ(ReadNpy(Npy("<f2", "(3,)", BytesOf<uint16_t>({0x3C00, 0xC000, 0x3555}))),
            "1x3: 1 -2 0.333252");
  EXPECT_EQ(ReadNpy(Npy("|b1", "(2,)", BytesOf<uint8_t>({0, 1}))), "1x2: 0 1");
  // Big-endian, and the first axis fastest.
  EXPECT_EQ(ReadNpy(Npy(">i2", "(2,)", std::string("\0\1\1\0", 4))), "1x2: 1 256");
  EXPECT_EQ(ReadNpy(Npy("<f4", shape, BytesOf<float>({1, 4, 2, 5, 3, 6}), true)), kTwoByThree);
}

TEST(ArrayTableTest, ReadsAnNpzThatIsCompressed) {
  const std::string npy = Npy("<f4", "(2, 3)", BytesOf<float>({1, 2, 3, 4, 5, 6}));
  const std::string other = Npy("<i4", "(1,)", BytesOf<int32_t>({7}));
  const auto deflated = [](const std::string& name, const std::string& data) {
    // The checksum is that of the array, which a stored record of it has.
    const std::string stored = Zip({{"a", data}});
    uint32_t crc;
    std::memcpy(&crc, stored.data() + 14, sizeof(crc));
    return ZipRecord(name, Deflate(data)).WithMethod(8).WithSize(data.size()).WithCrc(crc);
  };
  for (const bool zip64 : {false, true}) {
    const auto table = ArrayTable::Open(
        Path("t.npz", Zip({deflated("b/2.npy", npy), deflated("a.npy", other)}, {zip64, ""})));
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_THAT((*table)->ids(), ElementsAre("b/2", "a"));
    EXPECT_EQ(Read(**table, "b/2"), kTwoByThree);
    EXPECT_EQ(Read(**table, "a"), "1x1: 7");
    EXPECT_EQ((*table)->Describe("b/2"), "float32 array of shape [2, 3]");
  }
}

TEST(ArrayTableTest, RefusesAnNpzThatClaimsTooMuch) {
  const std::string header = Npy("<f4", "(1000000000, 1000)", "");
  // The directory claims what the array does.
  const uint64_t size = header.size() + uint64_t{4} * 1000 * 1000000000;
  EXPECT_THAT(ProblemOf(Path("t.npz",
                             Zip({ZipRecord("x.npy", Deflate(header)).WithMethod(8).WithSize(size)},
                                 {true, ""}))),
              HasSubstr("t.npz: claims to hold more than "));
  // The array claims more than the directory.
  EXPECT_THAT(ReadNpy(header),
              HasSubstr(absl::StrCat("record x.npy: has ", header.size(), " bytes, want ", size)));
  // Many zeros in few bytes: what is held is right, but more than 64 times the file and 16 MiB.
  const std::string zeros(40 << 20, '\0');
  const std::string bomb = Deflate(Npy("<f4", absl::StrCat("(", zeros.size() / 4, ",)"), zeros));
  EXPECT_THAT(
      ProblemOf(
          Path("t.npz", Zip({ZipRecord("x.npy", bomb).WithMethod(8).WithSize(zeros.size() + 80)}))),
      HasSubstr("64 times its own size and 16 MiB; if that is right, write it with "
                "numpy.savez()"));
  // Deflated bytes that make more, or less, than the directory says.
  const std::string npy = Npy("<f4", "(2,)", BytesOf<float>({1, 2}));
  for (const std::string& data : {npy + "more", npy.substr(0, npy.size() - 1)}) {
    EXPECT_THAT(ReadNpy(npy).c_str(), HasSubstr("1x2"));
    const auto table = ArrayTable::Open(
        Path("t.npz", Zip({ZipRecord("x.npy", Deflate(data)).WithMethod(8).WithSize(npy.size())})));
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_THAT(Read(**table, "x"), HasSubstr("t.npz: 'x' does not hold the "));
  }
}

TEST(ArrayTableTest, NamesWhatIsWrongWithAnArray) {
  EXPECT_THAT(ReadNpy(Npy("<f4", "(2, 2, 2)", std::string(32, '\0'))),
              HasSubstr("t.npz: 'x' has shape [2, 2, 2], want [utterances, width]"));
  EXPECT_THAT(ReadNpy(Npy("|O", "(2,)", "pickle")),
              HasSubstr("t.npz: 'x' is object array of shape [2], want numbers"));
  EXPECT_THAT(ReadNpy(Npy("<U3", "(1,)", std::string(12, '\0'))), HasSubstr("want numbers"));
  EXPECT_THAT(ReadNpy(Npy("<c8", "(1,)", std::string(8, '\0'))), HasSubstr("complex64 array"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(ReadNpy(Npy("<f4", "(2, 3)", BytesOf<float>({1, 2, 3, 4, nan, 6}))),
              HasSubstr("t.npz: 'x' row 1, column 1 is nan, want a finite number"));
  EXPECT_THAT(ReadNpy(Npy("<f8", "(1,)", BytesOf<double>({1e300}))), HasSubstr("column 0 is inf"));
  EXPECT_THAT(ReadNpy("\x93NUMPY\x09"), HasSubstr("record x.npy: does not begin"));
  EXPECT_THAT(ReadNpy(Npy("[('a', '<f4')]", "(2,)", "")),
              HasSubstr("record x.npy: has the header {"));
  EXPECT_THAT(ReadNpy(Npy("<f4", "(-2,)", "")), HasSubstr("has the header"));
  const auto damaged = ArrayTable::Open(
      Path("t.npz", Zip({ZipRecord("x.npy", Npy("|i1", "(1,)", "a")).WithCrc(1)})));
  ASSERT_TRUE(damaged.ok());
  EXPECT_THAT(Read(**damaged, "x"), HasSubstr("'x' is damaged (its CRC-32 does not match)"));
  EXPECT_THAT(ProblemOf(Path("t.npz", Zip({{"x.npy", Npy("|i1", "(1,)", "a")}, {"x.txt", ""}}))),
              HasSubstr("record x.txt: is no .npy array"));
}

TEST(ArrayTableTest, ShapesThatMeanRows) {
  EXPECT_EQ(ReadNpy(Npy("<f4", "(2, 1, 3)", BytesOf<float>({1, 2, 3, 4, 5, 6}))), kTwoByThree);
  for (const char* empty : {"(0,)", "(0, 7)", "(3, 0)"}) {
    EXPECT_EQ(ReadNpy(Npy("<f4", empty, "")), "0x0:") << empty;
  }
  EXPECT_THAT(ReadNpy(Npy("<f4", "()", BytesOf<float>({1}))), HasSubstr("has shape []"));
}

TEST(ArrayTableTest, ReadsAPickleAlsoCompressed) {
  pickle::Writer w;
  w.EmptyDict();
  w.Mark();
  w.String("Ses01");  // a list of vectors
  w.EmptyList();
  w.Mark();
  for (const int first : {1, 4}) {
    w.EmptyList();
    w.Mark();
    for (int i = 0; i < 3; ++i) w.Float(first + i);
    w.Appends();
  }
  w.Appends();
  w.Int(7);  // a vector, under a number
  w.EmptyList();
  w.Mark();
  w.Float(0.5), w.Int(2);
  w.Appends();
  w.String("ragged");
  w.EmptyList();
  w.Mark();
  w.Int(1), w.None();
  w.Appends();
  w.SetItems();
  const std::string bytes = std::move(w).Finish();
  for (const std::string& contents : {bytes, Gzip(bytes), Zlib(bytes)}) {
    const auto table = ArrayTable::Open(Path("t.pkl", contents));
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_THAT((*table)->ids(), ElementsAre("Ses01", "7", "ragged"));
    EXPECT_EQ(Read(**table, "Ses01"), kTwoByThree);
    EXPECT_EQ(Read(**table, "7"), "1x2: 0.5 2");
    EXPECT_THAT(Read(**table, "ragged"), HasSubstr("t.pkl: 'ragged' is list of 2, want numbers"));
    EXPECT_EQ((*table)->Describe("Ses01"), "list of 2");
    EXPECT_THAT(Read(**table, "x\x1b"),
                HasSubstr("t.pkl: 'x\\x1b' is not there; it has 3 ids, such as 'Ses01', '7', "));
  }
}

TEST(ArrayTableTest, RefusesPicklesThatAreNoTables) {
  pickle::Writer list;
  list.EmptyList();
  EXPECT_THAT(ProblemOf(Path("t.pkl", std::move(list).Finish())),
              HasSubstr("t.pkl: holds list of 0, want a dict from id to array; an official"));
  pickle::Writer key;
  key.EmptyDict();
  key.Mark();
  key.Int(1), key.Int(2), key.Tuple(2), key.None();
  key.SetItems();
  EXPECT_THAT(ProblemOf(Path("t.pkl", std::move(key).Finish())),
              HasSubstr("the key of a table is tuple of 2, want the id"));
  pickle::Writer twice;
  twice.EmptyDict();
  twice.Mark();
  twice.Int(1), twice.None(), twice.String("1"), twice.None();
  twice.SetItems();
  EXPECT_THAT(ProblemOf(Path("t.pkl", std::move(twice).Finish())),
              HasSubstr("there is an id 1 as text and as a number; keep one"));
}

TEST(ArrayTableTest, ReadsAFolderOfNpyFiles) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/dia0_utt1.npy", Npy("<f4", "(3,)", BytesOf<float>({1, 2, 3})));
  WriteFile(folder + "/dia0_utt0.npy", Npy("<f8", "(1, 3)", BytesOf<double>({4, 5, 6})));
  WriteFile(folder + "/page.npy", "<!DOCTYPE html><html>");
  WriteFile(folder + "/cut.npy", Npy("<f4", "(300, 300)", "1234"));
  WriteFile(folder + "/._dia0_utt0.npy", "companion");
  WriteFile(folder + "/readme.txt", "text");
  const auto table = ArrayTable::Open(folder);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT((*table)->ids(), ElementsAre("cut", "dia0_utt0", "dia0_utt1", "page"));
  EXPECT_EQ(Read(**table, "dia0_utt1"), "1x3: 1 2 3");
  EXPECT_EQ(Read(**table, "dia0_utt0"), "1x3: 4 5 6");
  EXPECT_EQ(Read(**table, "dia0_utt1"), "1x3: 1 2 3");
  EXPECT_THAT(Read(**table, "page"), HasSubstr("'page' is a web page, want arrays by id"));
  EXPECT_THAT(Read(**table, "cut"), HasSubstr("'cut' is float32 array of shape [300, 300] in a"));

  const std::string above = NewFolder();
  EXPECT_THAT(ProblemOf(above), HasSubstr(": is a folder without .npy files"));
  std::filesystem::create_directory(above + "/audio");
  EXPECT_THAT(ProblemOf(above), HasSubstr("name the folder below it"));
}

TEST(ArrayTableTest, NamesOtherFiles) {
  EXPECT_EQ(ArrayTable::Open("/nonexistent.npz").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(ProblemOf(Path("x.npy", Npy("<f4", "(2,)", std::string(8, '\0')))),
              HasSubstr("x.npy: is one array of numpy.save(), want arrays by id"));
  EXPECT_THAT(ProblemOf(Path("x.pt", Zip({{"archive/data.pkl", "}."}}))),
              HasSubstr("is a file of torch.save(), want arrays by id: an .npz, a folder of .npy "
                        "files or the pickle of a dict; in Python: import torch, numpy; "
                        "numpy.savez(\"converted.npz\", "));
  EXPECT_THAT(ProblemOf(Path("x.csv", "a,b\n1,2\n")), HasSubstr("is a CSV file, want arrays"));
  EXPECT_THAT(ProblemOf(Path("x.npz", Gzip(Zip({{"x.npy", Npy("|i1", "(1,)", "a")}})))),
              HasSubstr("is a gzip file, and what it holds is an .npz of NumPy arrays"));
}

}  // namespace
}  // namespace cmerc::datasets
