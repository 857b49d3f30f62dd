// Damaged fixtures: whatever the damage, reading ends with a document or an error that names the
// file, within the memory bound; and a document can be walked and converted.
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "storage/pickle/pickle.h"
#include "tests/storage/pickle/fixtures.h"

namespace cmerc::pickle {
namespace {

constexpr int kRoundsPerFixture = 1500;

// Draws below n. std::uniform_int_distribution differs from library to library.
size_t Below(size_t n, std::mt19937_64* random) { return (*random)() % n; }

void Mutate(std::string* bytes, std::mt19937_64* random) {
  const size_t times = 1 + Below(4, random);
  for (size_t i = 0; i < times && !bytes->empty(); ++i) {
    const size_t at = Below(bytes->size(), random);
    switch (Below(6, random)) {
      case 0:
        (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << Below(8, random)));
        break;
      case 1:
        (*bytes)[at] = static_cast<char>((*random)());
        break;
      case 2:
        bytes->insert(at, 1 + Below(8, random), static_cast<char>((*random)()));
        break;
      case 3:
        bytes->erase(at, 1 + Below(8, random));
        break;
      case 4:
        bytes->insert(at, bytes->substr(Below(bytes->size(), random), Below(200, random)));
        break;
      default:
        if (Below(4, random) == 0) bytes->resize(at);
    }
  }
}

// Reads everything there is, each object once.
void Walk(const Document& document) {
  std::unordered_set<const Value*> seen;
  std::vector<const Value*> todo = {&document.root()};
  while (!todo.empty()) {
    const Value* value = todo.back();
    todo.pop_back();
    if (value == nullptr || !seen.insert(value).second) continue;
    EXPECT_FALSE(Describe(*value).empty());
    for (const Value* item : value->items()) todo.push_back(item);
    for (const Value* key : value->keys()) todo.push_back(key);
    for (const Value* item : value->values()) todo.push_back(item);
    todo.push_back(value->args());
    todo.push_back(value->state());
    for (const char c : value->string()) EXPECT_EQ(c, c);
    const auto texts = document.Texts(*value);
    const auto shape = document.NumbersShape(*value);
    if (shape.ok()) {
      int64_t size = 1;
      for (const int64_t length : *shape) size *= length;
      std::vector<double> numbers(size);
      EXPECT_TRUE(document.CopyNumbers(*value, absl::MakeSpan(numbers)).ok());
    }
  }
}

TEST(Mutation, NeverCrashesNorExceedsTheMemoryBound) {
  std::mt19937_64 random(20240229);
  Options options;
  options.allow_persistent_ids = true;
  options.allowed_globals = {"numpy.ndarrax"};
  int errors = 0, documents = 0;
  for (const std::string& path : FixturePaths()) {
    const std::string original = ReadFile(path);
    for (int round = 0; round < kRoundsPerFixture; ++round) {
      std::string bytes = original;
      Mutate(&bytes, &random);
      const size_t size = bytes.size();
      const auto document = Document::Parse(std::move(bytes), "damaged.pkl", options);
      if (document.ok()) {
        ++documents;
        EXPECT_LE((*document)->memory_used(), 64 * size + (2 << 20));
        Walk(**document);
      } else {
        ++errors;
        EXPECT_EQ(document.status().code(), absl::StatusCode::kInvalidArgument);
        EXPECT_TRUE(absl::StartsWith(document.status().message(), "damaged.pkl: byte "))
            << document.status();
      }
    }
  }
  EXPECT_GT(errors, 1000);
  EXPECT_GT(documents, 1000);
}

}  // namespace
}  // namespace cmerc::pickle
