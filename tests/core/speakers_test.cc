#include "core/speakers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

DatasetInfo InfoOf(int64_t num_speakers, std::vector<std::string> names, ContextScope context) {
  DatasetInfo info;
  info.num_speakers = num_speakers;
  info.speaker_names = std::move(names);
  info.context = context;
  return info;
}

std::vector<int64_t> Indices(const std::vector<std::string>& names, const DatasetInfo& info) {
  const auto indices = SpeakerIndices(names, info);
  EXPECT_TRUE(indices.ok()) << indices.status();
  return indices.ok() ? *indices : std::vector<int64_t>();
}

TEST(SpeakersTest, KnownNamesKeepTheirIndicesAndOthersTakeWhatIsLeft) {
  const DatasetInfo info = InfoOf(4, {"M", "F"}, ContextScope::kConversation);
  EXPECT_THAT(Indices({"X", "F", "X", "M", "Y"}, info), ElementsAre(2, 1, 2, 0, 3));
}

// What was said of an utterance must not depend on who speaks after it.
TEST(SpeakersTest, WherePastAloneCountsIndicesOfAPrefixAreThoseOfTheWhole) {
  const DatasetInfo info = InfoOf(3, {"M", "F"}, ContextScope::kPast);
  const std::vector<std::string> names = {"X", "F", "X", "M", "F"};
  // X has taken M's place by the time that M appears.
  const std::vector<int64_t> all = Indices(names, info);
  EXPECT_THAT(all, ElementsAre(0, 1, 0, 2, 1));
  for (size_t count = 1; count <= names.size(); ++count) {
    const std::vector<std::string> prefix(names.begin(), names.begin() + count);
    EXPECT_EQ(Indices(prefix, info), std::vector<int64_t>(all.begin(), all.begin() + count));
  }
  EXPECT_THAT(Indices({"M", "X", "F"}, info), ElementsAre(0, 1, 2));
}

TEST(SpeakersTest, MoreSpeakersThanThereAreIndicesAreRefused) {
  for (const ContextScope context : {ContextScope::kConversation, ContextScope::kPast}) {
    const auto indices =
        SpeakerIndices(std::vector<std::string>{"A", "B", "A", "C"}, InfoOf(2, {}, context));
    EXPECT_EQ(indices.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(indices.status().message()),
                HasSubstr("there are 3 speakers (A, B, C), and the model has weights for 2"));
  }
}

}  // namespace
}  // namespace cmerc
