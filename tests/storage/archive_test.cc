#include "storage/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/storage/zip.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

constexpr uint64_t kFourGigabytes = uint64_t{4} << 30;

std::string Problem(const std::vector<ZipRecord>& records, const ZipOptions& options = {}) {
  const absl::StatusOr<Archive> archive = Archive::Parse(Zip(records, options));
  if (archive.ok()) return "";
  EXPECT_EQ(archive.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(archive.status().message());
}

std::string Read(const Archive& archive, const std::string& name) {
  const absl::StatusOr<absl::string_view> record = archive.Read(name);
  return record.ok() ? std::string(*record) : record.status().ToString();
}

TEST(ArchiveTest, ReadsRecordsBelowTheFolderOfTheFirst) {
  std::string large(100001, 'x');  // not a multiple of the 8 bytes that the checksum takes at once
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * i);
  for (const bool zip64 : {false, true}) {
    const std::string bytes = Zip({{"run/data.pkl", "pickle"},
                                   {"run/data/0", large},
                                   {"run/data/1", ""},
                                   {"other/data/2", "elsewhere"}},
                                  {zip64, "a comment, PK\5\6 and all"});
    const absl::StatusOr<Archive> archive = Archive::Parse(bytes);
    ASSERT_TRUE(archive.ok()) << archive.status();
    EXPECT_EQ(archive->size(), bytes.size());
    EXPECT_EQ(Read(*archive, "data.pkl"), "pickle");
    EXPECT_EQ(Read(*archive, "data/0"), large);
    EXPECT_EQ(Read(*archive, "data/1"), "");
    EXPECT_TRUE(archive->Has("data/1"));
    EXPECT_FALSE(archive->Has("data/2"));
    EXPECT_THAT(Read(*archive, "data/2"), HasSubstr("no record data/2"));
  }
}

TEST(ArchiveTest, SurvivesBeingMoved) {
  absl::StatusOr<Archive> archive = Archive::Parse(Zip({{"a", "b"}}));
  ASSERT_TRUE(archive.ok()) << archive.status();
  const Archive moved = *std::move(archive);
  EXPECT_EQ(Read(moved, "a"), "b");
}

TEST(ArchiveTest, RejectsWhatIsNoArchive) {
  for (const std::string& bytes : {std::string(), std::string("PK\5\6"), std::string(1000, '\0'),
                                   std::string("\x80\x02}q\0.", 6)}) {
    const absl::StatusOr<Archive> archive = Archive::Parse(bytes);
    ASSERT_FALSE(archive.ok());
    EXPECT_THAT(std::string(archive.status().message()), HasSubstr("not a whole zip archive"));
  }
}

TEST(ArchiveTest, RejectsEveryTruncation) {
  for (const bool zip64 : {false, true}) {
    const std::string bytes =
        Zip({{"run/data.pkl", "pickle"}, {"run/data/0", "0123"}}, {zip64, ""});
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(Archive::Parse(bytes.substr(0, size)).ok()) << size;
    }
  }
}

// Whatever byte changes: an error, or every record as it was, or a record that says it is damaged.
TEST(ArchiveTest, NoChangedByteGoesUnseenInARecord) {
  const std::vector<ZipRecord> records = {{"run/data.pkl", "pickle"}, {"run/data/0", "0123"}};
  for (const bool zip64 : {false, true}) {
    const std::string original = Zip(records, {zip64, ""});
    for (size_t i = 0; i < original.size(); ++i) {
      for (const int change : {1, 0x80, 0xFF}) {
        std::string bytes = original;
        bytes[i] = static_cast<char>(bytes[i] ^ change);
        const absl::StatusOr<Archive> archive = Archive::Parse(bytes);
        if (!archive.ok()) continue;
        for (const ZipRecord& record : records) {
          const absl::StatusOr<absl::string_view> read = archive->Read(record.name.substr(4));
          EXPECT_TRUE(!read.ok() || *read == record.data) << "byte " << i;
        }
      }
    }
  }
}

TEST(ArchiveTest, RejectsADamagedRecord) {
  const absl::StatusOr<Archive> archive = Archive::Parse(Zip({ZipRecord("a", "b").WithCrc(123)}));
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_THAT(Read(*archive, "a"), HasSubstr("record a is damaged"));
}

TEST(ArchiveTest, RejectsCompressedRecordsWithoutInflatingThem) {
  for (const bool zip64 : {false, true}) {
    // A few bytes that claim to be gigabytes.
    EXPECT_THAT(
        Problem({ZipRecord("a", "zz").WithMethod(8).WithSize(kFourGigabytes - 2)}, {zip64, ""}),
        HasSubstr("record a is compressed"));
    EXPECT_THAT(Problem({ZipRecord("a", "zz").WithSize(kFourGigabytes - 2)}, {zip64, ""}),
                HasSubstr("record a is compressed"));
    // Compression that saved nothing.
    EXPECT_THAT(Problem({ZipRecord("a", "zz").WithMethod(8)}, {zip64, ""}),
                HasSubstr("record a is compressed"));
    EXPECT_THAT(Problem({ZipRecord("a", "zz").WithFlags(1)}, {zip64, ""}), HasSubstr("encrypted"));
  }
}

TEST(ArchiveTest, RejectsSizesAndPlacesOutsideTheFile) {
  for (const uint64_t size :
       {uint64_t{100}, kFourGigabytes - 2, kFourGigabytes * 4, ~uint64_t{0} - 1, ~uint64_t{0}}) {
    EXPECT_NE(Problem({ZipRecord("a", "b").WithStoredSize(size).WithSize(size)}, {true, ""}), "")
        << size;
    EXPECT_NE(Problem({ZipRecord("a", "b").WithHeaderAt(size)}, {true, ""}), "") << size;
  }
  EXPECT_THAT(Problem({ZipRecord("a", "b").WithStoredSize(100).WithSize(100)}),
              HasSubstr("record a reaches beyond the data"));
  EXPECT_THAT(Problem({ZipRecord("a", "b").WithHeaderAt(1)}),
              HasSubstr("record a is not where it should be"));
}

TEST(ArchiveTest, RejectsRecordsThatShareBytes) {
  // A thousand records over the same kilobyte would be a megabyte.
  std::vector<ZipRecord> records = {ZipRecord("r/0", std::string(1000, 'x'))};
  for (int i = 1; i < 1000; ++i) {
    records.push_back(
        ZipRecord(absl::StrCat("r/", i), "").WithStoredSize(1000).WithSize(1000).WithHeaderAt(0));
  }
  EXPECT_THAT(Problem(records), HasSubstr("header of record r/1 contradict each other"));
  // Each of these has the next one, header and all, in its data.
  std::string inner = "data";
  std::vector<std::string> data;
  for (int i = 9; i >= 0; --i) {
    data.insert(data.begin(), inner);
    const std::string whole = Zip({ZipRecord(absl::StrCat("r/", i), inner)});
    inner = whole.substr(0, whole.find("PK\1\2"));
  }
  records = {ZipRecord("r/0", data[0])};
  for (int i = 1; i < 10; ++i) {
    records.push_back(ZipRecord(absl::StrCat("r/", i), data[i])
                          .WithHeaderAt(inner.find(absl::StrCat("r/", i)) - 30));
  }
  // The directory alone of the others: their data is in that of the first.
  std::string directory = Zip(records);
  directory = directory.substr(directory.find("PK\1\2"));
  const size_t end = directory.rfind("PK\5\6");
  const auto begin = static_cast<uint32_t>(inner.size());
  for (int i = 0; i < 4; ++i) directory[end + 16 + i] = static_cast<char>(begin >> 8 * i);
  const absl::StatusOr<Archive> nested = Archive::Parse(inner + directory);
  EXPECT_THAT(std::string(nested.status().message()), HasSubstr("records overlap"));
}

// What stands at `position` is changed to `value`.
std::string ProblemOf(std::string bytes, size_t position, char value) {
  EXPECT_NE(bytes.at(position), value);
  bytes[position] = value;
  const absl::StatusOr<Archive> archive = Archive::Parse(bytes);
  return archive.ok() ? "" : std::string(archive.status().message());
}

TEST(ArchiveTest, RejectsHeadersThatContradictTheDirectory) {
  const std::string bytes = Zip({{"r/a", "data"}});
  const std::string says = "the directory and the header of record r/a contradict each other";
  EXPECT_THAT(ProblemOf(bytes, 30, 'q'), HasSubstr(says));  // another name
  EXPECT_THAT(ProblemOf(bytes, 26, 2), HasSubstr(says));    // a shorter one
  EXPECT_THAT(ProblemOf(bytes, 8, 8), HasSubstr(says));     // compressed
  EXPECT_THAT(ProblemOf(bytes, 6, 1), HasSubstr(says));     // encrypted
  EXPECT_THAT(ProblemOf(bytes, 14, 'q'), HasSubstr(says));  // another checksum
  EXPECT_THAT(ProblemOf(bytes, 18, 3), HasSubstr(says));    // another size, stored
  EXPECT_THAT(ProblemOf(bytes, 22, 5), HasSubstr(says));    // and unpacked
  // Where they follow the data, nothing is said of them here.
  std::string streamed = bytes;
  streamed[6] = 8;
  std::fill_n(streamed.begin() + 14, 12, '\0');
  EXPECT_TRUE(Archive::Parse(streamed).ok());
}

TEST(ArchiveTest, RejectsEndRecordsThatContradictEachOther) {
  const std::string bytes = Zip({{"r/a", "data"}, {"r/b", "more"}}, {/*zip64=*/true, ""});
  const size_t end = bytes.rfind("PK\5\6");
  for (const size_t field : {end + 10, end + 12, end + 16}) {
    EXPECT_THAT(ProblemOf(bytes, field, 1), HasSubstr("end records contradict each other"));
  }
}

TEST(ArchiveTest, RejectsADirectoryWithMoreThanItCounts) {
  const std::string bytes = Zip({{"r/a", "data"}, {"r/b", "more"}});
  EXPECT_THAT(ProblemOf(bytes, bytes.rfind("PK\5\6") + 10, 1),
              HasSubstr("its directory has more than the records it counts"));
}

TEST(ArchiveTest, NamesInMessagesAreEscaped) {
  EXPECT_THAT(Problem({ZipRecord("a\x1b[2J", "zz").WithMethod(8)}),
              HasSubstr("record a\\x1b[2J is compressed"));
}

TEST(ArchiveTest, RejectsUnsafeNames) {
  for (const std::string& name :
       {std::string(), std::string("/etc/passwd"), std::string("../a"), std::string("a/../../b"),
        std::string("a/.."), std::string("a\\b"), std::string("a\0b", 3)}) {
    EXPECT_THAT(Problem({ZipRecord(name, "b")}), HasSubstr("record 0 has an unsafe name")) << name;
  }
  EXPECT_EQ(Problem({ZipRecord("a/..b", "b"), ZipRecord("a/.data/c", "d")}), "");
}

TEST(ArchiveTest, RejectsANameThatIsThereTwice) {
  EXPECT_THAT(Problem({{"r/a", "b"}, {"r/a", "c"}}), HasSubstr("record r/a is there twice"));
}

}  // namespace
}  // namespace cmerc
