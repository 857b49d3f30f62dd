// What Document::Open() makes of files: of compressed ones, and of those that are no pickles.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "bytes/inflate.h"
#include "storage/pickle/pickle.h"
#include "storage/pickle/writer.h"
#include "tests/bin/files.h"
#include "tests/bytes/packed.h"
#include "tests/storage/zip.h"

namespace cmerc::pickle {
namespace {

using testing::HasSubstr;

std::string Path(const std::string& contents) {
  const std::string path = NewFolder() + "/f.pkl";
  WriteFile(path, contents);
  return path;
}

std::string ProblemOf(const std::string& contents) {
  const auto document = Document::Open(Path(contents));
  return document.ok() ? "" : std::string(document.status().message());
}

std::string PickleOf(const std::string& text) {
  Writer w;
  w.String(text);
  return std::move(w).Finish();
}

TEST(OpenTest, ReadsGzipAndZlib) {
  const std::string text(100000, 'x');
  for (const std::string& file : {Gzip(PickleOf(text)), Zlib(PickleOf(text))}) {
    const auto document = Document::Open(Path(file));
    ASSERT_TRUE(document.ok()) << document.status();
    EXPECT_EQ((*document)->root().string(), text);
    EXPECT_EQ((*document)->pickle_size(), PickleOf(text).size());
    EXPECT_EQ((*document)->measured_size(), PickleOf(text).size());
  }
}

// Memory is measured by the file, not by what it holds.
TEST(OpenTest, MeasuresWhatIsCompressedByTheFile) {
  const std::string pickle = PickleOf(std::string(10 << 20, 'x'));
  const std::string file = Gzip(pickle);
  const auto document = Document::Open(Path(file));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ((*document)->measured_size(), file.size() + (1 << 18));
  // Tuples of nothing: 24 bytes of memory for each byte that compresses to nothing.
  EXPECT_THAT(ProblemOf(Gzip("(" + std::string(2 << 20, ')') + "t.")),
              HasSubstr("bytes per byte of the file"));
  EXPECT_EQ(ProblemOf(Gzip("(" + std::string(100 << 10, ')') + "t.")), "");
}

TEST(OpenTest, RefusesBombsAndDamage) {
  EXPECT_THAT(ProblemOf(Gzip(PickleOf(std::string(20 << 20, 'x')))),
              HasSubstr("f.pkl: opens to more than "));
  const std::string file = Zlib(PickleOf("text that is cut"));
  EXPECT_THAT(ProblemOf(file.substr(0, file.size() - 6)), HasSubstr("is compressed and cut short"));
}

TEST(OpenTest, SaysWhatAFileIs) {
  EXPECT_THAT(ProblemOf("<!DOCTYPE html><html>"), HasSubstr("f.pkl: is a web page, want a Python"));
  EXPECT_THAT(ProblemOf(Zip({{"a/data.pkl", "N."}})),
              HasSubstr("f.pkl: is a file of torch.save()"));
  EXPECT_THAT(ProblemOf(Npy("|O", "(9,)", "")), HasSubstr("numpy.load(\""));
  EXPECT_THAT(ProblemOf(Gzip("{\"a\": 1}")),
              HasSubstr("f.pkl: is a gzip file, and what it holds is JSON, want a Python pickle"));
  EXPECT_THAT(ProblemOf("(dp0\r\nVa\r\np1\r\nI1\r\ns."), HasSubstr("was copied in text mode"));
  // What is a pickle, or nothing known, keeps the place of the problem.
  EXPECT_THAT(ProblemOf("\x80\x04"), HasSubstr("f.pkl: byte 2: the file is truncated"));
  EXPECT_THAT(ProblemOf("\x01"), HasSubstr("f.pkl: byte 0: 0x01 is no opcode"));
  // A pickle of protocol 0 whose first two bytes could begin a zlib file of a small window.
  EXPECT_EQ(ProblemOf("(S'abc'\np0\nt."), "");
}

}  // namespace
}  // namespace cmerc::pickle
