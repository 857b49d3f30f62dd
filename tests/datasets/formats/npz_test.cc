#include "datasets/formats/npz.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/archive.h"

namespace cmerc {
namespace {

// A .npy file: its header's text, padded as NumPy pads it, and then the values.
std::string Npy(const std::string& text, const std::string& values) {
  std::string padded = text;
  padded.append(128 - 10 - 1 - text.size(), ' ');
  return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + padded + "\n" + values;
}

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(NpzWriterTest, WritesWhatNumPyReads) {
  std::string file;
  NpzWriter writer([&](absl::string_view bytes) {
    absl::StrAppend(&file, bytes);
    return absl::OkStatus();
  });
  const std::vector<float> first = {1, 2, 3, 4};
  const std::vector<float> second = {5, -0.5f};
  ASSERT_TRUE(writer
                  .AddFloats("text", {3, 2},
                             [&](NpzWriter::TakeFloats take) {
                               take(first);
                               take(second);
                             })
                  .ok());
  ASSERT_TRUE(writer.AddIntegers("labels", {7, -1, 3}).ok());
  ASSERT_TRUE(writer.AddStrings("ids", {"a", "\xC3\xA9\xF0\x9F\x98\x80z", ""}).ok());
  ASSERT_TRUE(writer.AddStrings("none", {}).ok());
  ASSERT_TRUE(writer.Finish().ok());

  const absl::StatusOr<Archive> archive = Archive::Parse(file);
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_EQ(archive->Read("text.npy").value(),
            Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }",
                Bytes(first) + Bytes(second)));
  EXPECT_EQ(
      archive->Read("labels.npy").value(),
      Npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }", Bytes<int64_t>({7, -1, 3})));
  EXPECT_EQ(archive->Read("ids.npy").value(),
            Npy("{'descr': '<U3', 'fortran_order': False, 'shape': (3,), }",
                Bytes<uint32_t>({'a', 0, 0, 0xE9, 0x1F600, 'z', 0, 0, 0})));
  EXPECT_EQ(archive->Read("none.npy").value(),
            Npy("{'descr': '<U1', 'fortran_order': False, 'shape': (0,), }", ""));
  // Local header: version 4.5, no flags, stored, 1980-01-01 00:00.
  EXPECT_EQ(file.substr(0, 14), std::string("PK\3\4\x2D\0\0\0\0\0\0\0\x21\0", 14));
  EXPECT_EQ(file.substr(30, 18), "text.npy\x93NUMPY\x01" + std::string("\0\x76\0", 3));
}

TEST(NpzWriterTest, RefusesNames) {
  NpzWriter writer([](absl::string_view) { return absl::OkStatus(); });
  for (const char* name : {"", "../x", "a/b", "a b", ".x", "\xC3\xA9"}) {
    EXPECT_EQ(writer.AddIntegers(name, {1}).code(), absl::StatusCode::kInvalidArgument) << name;
  }
  EXPECT_TRUE(writer.AddIntegers("labels", {1}).ok());
  EXPECT_EQ(writer.AddIntegers("labels", {1}).message(),
            "two arrays would have the name \"labels\"; rename the modality");
  EXPECT_EQ(writer.AddStrings("x", {"\xFF"}).message(), "x is not UTF-8");
}

TEST(NpzWriterTest, GivesTheErrorsOfTheSink) {
  NpzWriter writer([](absl::string_view) { return absl::ResourceExhaustedError("disk full"); });
  EXPECT_EQ(writer.AddIntegers("x", {1}).message(), "disk full");
  EXPECT_EQ(writer.Finish().message(), "disk full");
}

// Above 4 GiB: ZIP64. The bytes are not kept.
TEST(NpzWriterTest, LargeArrays) {
  const std::vector<float> chunk(size_t{1} << 24, 1);
  constexpr int64_t kChunks = 65;
  uint64_t size = 0;
  std::string head;
  std::string tail;
  NpzWriter writer([&](absl::string_view bytes) {
    if (size == 0) head = std::string(bytes);
    size += bytes.size();
    tail = absl::StrCat(tail.size() > 400 ? tail.substr(tail.size() - 400) : tail,
                        bytes.substr(bytes.size() > 400 ? bytes.size() - 400 : 0));
    return absl::OkStatus();
  });
  const int64_t count = kChunks << 24;
  ASSERT_TRUE(writer
                  .AddFloats("big", {count},
                             [&](NpzWriter::TakeFloats take) {
                               for (int64_t i = 0; i < kChunks; ++i) take(chunk);
                             })
                  .ok());
  ASSERT_TRUE(writer.AddIntegers("after", {1}).ok());
  ASSERT_TRUE(writer.Finish().ok());
  const auto number = [](const std::string& bytes, size_t position) {
    uint64_t value;
    std::memcpy(&value, bytes.data() + position, sizeof(value));
    return value;
  };
  const uint64_t array_size = count * sizeof(float) + 128;
  EXPECT_EQ(head.substr(18, 8), "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
  EXPECT_EQ(number(head, 30 + 7 + 4), array_size);
  EXPECT_EQ(number(head, 30 + 7 + 12), array_size);
  // The end: directory of two entries, ZIP64 end record (56 bytes), locator (20), end (22).
  const size_t end64 = tail.size() - 22 - 20 - 56;
  EXPECT_EQ(tail.substr(end64, 4), "PK\6\6");
  EXPECT_EQ(number(tail, end64 + 24), 2u);
  const uint64_t directory_size = number(tail, end64 + 40);
  EXPECT_EQ(directory_size, (46 + 7 + 20) + (46 + 9 + 12));
  EXPECT_EQ(number(tail, end64 + 48) + directory_size + 56 + 20 + 22, size);
  EXPECT_EQ(tail.substr(end64 + 56, 4), "PK\6\7");
  EXPECT_EQ(number(tail, end64 + 64) + 56 + 20 + 22, size);
  // "after" begins behind "big", above 4 GiB: the extra field of its entry says where.
  EXPECT_EQ(number(tail, end64 - 8), 30 + 7 + 20 + array_size);
}

}  // namespace
}  // namespace cmerc
