#include "calibration/as_trained.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

PreparedData Named() {
  PreparedData data = StubData();
  data.info.class_names = {"joy", "anger", "fear"};
  data.info.speaker_names = {"Ann", "Bob"};
  data.info.class_counts = {5, 3, 2};
  return data;
}

CheckpointMetadata TrainedOn(const DatasetInfo& info) {
  CheckpointMetadata metadata;
  *metadata.mutable_dataset() = Describe(info);
  return metadata;
}

// `info` with these speakers and classes.
DatasetInfo With(DatasetInfo info, const std::vector<std::string>& speakers,
                 const std::vector<std::string>& classes) {
  info.speaker_names = speakers;
  info.num_speakers = static_cast<int64_t>(speakers.size());
  info.class_names = classes;
  return info;
}

TEST(AsTrainedTest, DataThatIsAlikeStaysAsItIs) {
  const PreparedData data = Named();
  const auto prepared = PrepareAsTrained(RunConfig(), data, TrainedOn(data.info));
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_EQ(prepared->train, data.train);
  for (size_t i = 0; i < data.conversations.size(); ++i) {
    EXPECT_TRUE(
        prepared->conversations[i].features[0][0].is_same(data.conversations[i].features[0][0]));
    EXPECT_TRUE(prepared->conversations[i].labels.equal(data.conversations[i].labels));
  }
}

TEST(AsTrainedTest, IndicesAreThoseOfTheModel) {
  const PreparedData data = Named();
  const DatasetInfo theirs = With(data.info, {"Zoe", "Bob", "Ann"}, {"fear", "joy", "anger"});
  const auto prepared = PrepareAsTrained(RunConfig(), data, TrainedOn(theirs));
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_EQ(prepared->info.num_speakers, 3);
  EXPECT_EQ(prepared->info.speaker_names, theirs.speaker_names);
  EXPECT_EQ(prepared->info.class_names, theirs.class_names);
  EXPECT_THAT(prepared->info.class_counts, ElementsAre(2, 5, 3));
  const int64_t speaker[] = {2, 1}, label[] = {1, 2, 0};
  for (size_t i = 0; i < data.conversations.size(); ++i) {
    const Conversation& ours = data.conversations[i];
    const Conversation& seen = prepared->conversations[i];
    for (int64_t u = 0; u < ours.length(); ++u) {
      EXPECT_EQ(seen.speakers[u].item<int64_t>(), speaker[ours.speakers[u].item<int64_t>()]);
      EXPECT_EQ(seen.labels[u].item<int64_t>(), label[ours.labels[u].item<int64_t>()]);
    }
  }
  EXPECT_EQ(OtherClassesWarning(TrainedOn(theirs).dataset(), prepared->info), "");
}

TEST(AsTrainedTest, StrangersKeepTheirIndices) {
  const PreparedData data = Named();
  const DatasetInfo theirs = With(data.info, {"Bob", "Cid"}, {"joy", "anger", "calm"});
  const auto prepared = PrepareAsTrained(RunConfig(), data, TrainedOn(theirs));
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_EQ(prepared->info.speaker_names, data.info.speaker_names);
  EXPECT_EQ(prepared->info.class_names, data.info.class_names);
  for (size_t i = 0; i < data.conversations.size(); ++i) {
    EXPECT_TRUE(prepared->conversations[i].speakers.equal(data.conversations[i].speakers));
    EXPECT_TRUE(prepared->conversations[i].labels.equal(data.conversations[i].labels));
  }
  EXPECT_THAT(OtherClassesWarning(TrainedOn(theirs).dataset(), prepared->info),
              AllOf(HasSubstr("the classes joy anger calm"), HasSubstr("has others")));
}

TEST(AsTrainedTest, ADatasetThatMustBeReadAgainHasToBeThere) {
  const PreparedData data = Named();
  DatasetInfo theirs = data.info;
  theirs.modalities.pop_back();
  const absl::Status status = PrepareAsTrained(RunConfig(), data, TrainedOn(theirs)).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("data.dataset: "));
}

}  // namespace
}  // namespace cmerc
