// Laws that every registered dataset obeys. A plugin that cannot work without options (it reads a
// file) needs an ExtraCase that names some; its default options must then be refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "core/batch.h"
#include "core/dataset.h"
#include "storage/module_state.h"
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {
namespace {

constexpr Split kSplits[] = {Split::kTrain, Split::kValid, Split::kTrainAndValid, Split::kTest};

std::vector<int64_t> Sorted(absl::Span<const int64_t> indices) {
  std::vector<int64_t> sorted(indices.begin(), indices.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// All tensors of a conversation, in one order.
std::vector<torch::Tensor> TensorsOf(const Conversation& conversation) {
  std::vector<torch::Tensor> tensors = {conversation.speakers, conversation.labels};
  if (conversation.present.defined()) tensors.push_back(conversation.present);
  for (const auto& streams : conversation.features) {
    tensors.insert(tensors.end(), streams.begin(), streams.end());
  }
  return tensors;
}

void ExpectSame(const Conversation& a, const Conversation& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.utterances, b.utterances);
  const std::vector<torch::Tensor> ours = TensorsOf(a);
  const std::vector<torch::Tensor> theirs = TensorsOf(b);
  ASSERT_EQ(ours.size(), theirs.size());
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_TRUE(torch::equal(ours[i], theirs[i])) << i;
}

// The cases whose options the plugin accepts.
std::vector<PluginCase> AcceptedCases() {
  std::vector<PluginCase> accepted;
  for (const PluginCase& plugin : CasesOf(Datasets())) {
    if (!plugin.options.empty() || Create(Datasets(), plugin).ok()) accepted.push_back(plugin);
  }
  return accepted;
}

class DatasetLaws : public testing::TestWithParam<PluginCase> {
 protected:
  void SetUp() override {
    auto dataset = Create(Datasets(), GetParam());
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    dataset_ = *std::move(dataset);
  }

  const DatasetInfo& info() const { return dataset_->info(); }

  Conversation Get(int64_t index) const {
    absl::StatusOr<Conversation> conversation = dataset_->Get(index);
    TORCH_CHECK(conversation.ok(), conversation.status().ToString());
    return *std::move(conversation);
  }

  std::unique_ptr<Dataset> dataset_;
};

TEST_P(DatasetLaws, InfoIsComplete) {
  ASSERT_FALSE(info().modalities.empty());
  std::set<std::string> names;
  for (const ModalityInfo& modality : info().modalities) {
    EXPECT_FALSE(modality.name.empty());
    EXPECT_TRUE(names.insert(modality.name).second) << "two modalities are " << modality.name;
    EXPECT_GE(modality.width, 1) << modality.name;
    EXPECT_GE(modality.num_streams, 1) << modality.name;
  }
  EXPECT_GE(info().num_classes(), 2);
  EXPECT_EQ(std::set<std::string>(info().class_names.begin(), info().class_names.end()).size(),
            info().class_names.size())
      << "class names repeat";
  EXPECT_GE(info().num_speakers, 1);
}

TEST_P(DatasetLaws, ConversationsFitTheInfo) {
  ASSERT_GE(dataset_->size(), 1);
  std::set<std::string> ids;
  for (int64_t index = 0; index < dataset_->size(); ++index) {
    const Conversation conversation = Get(index);
    SCOPED_TRACE(testing::Message() << "conversation " << index << ", " << conversation.id);
    EXPECT_FALSE(conversation.id.empty());
    EXPECT_TRUE(ids.insert(conversation.id).second) << "its id is another's";
    const int64_t length = conversation.length();
    ASSERT_GE(length, 1);
    ASSERT_EQ(conversation.labels.scalar_type(), torch::kInt64);
    ASSERT_EQ(conversation.speakers.scalar_type(), torch::kInt64);
    ASSERT_EQ(conversation.speakers.sizes(), torch::IntArrayRef({length}));
    if (!conversation.utterances.empty()) {
      EXPECT_EQ(static_cast<int64_t>(conversation.utterances.size()), length);
    }
    ASSERT_EQ(conversation.features.size(), info().modalities.size());
    for (size_t m = 0; m < info().modalities.size(); ++m) {
      const ModalityInfo& modality = info().modalities[m];
      ASSERT_EQ(static_cast<int64_t>(conversation.features[m].size()), modality.num_streams)
          << modality.name;
      for (const torch::Tensor& stream : conversation.features[m]) {
        ASSERT_EQ(stream.sizes(), torch::IntArrayRef({length, modality.width})) << modality.name;
        ASSERT_EQ(stream.scalar_type(), torch::kFloat32) << modality.name;
        ASSERT_TRUE(stream.isfinite().all().item<bool>()) << modality.name << " is not finite";
      }
    }
    // Labels and speakers in range, as a backbone will see them.
    const absl::Status valid = ValidateBatch(MakeBatch({conversation}, info()), info());
    ASSERT_TRUE(valid.ok()) << valid;
  }
}

// What an utterance lacks is 0, and `present` is there only where something is missing. No
// conversation lacks everything.
TEST_P(DatasetLaws, WhatIsMissingIsZero) {
  const auto num_modalities = static_cast<int64_t>(info().modalities.size());
  for (int64_t index = 0; index < dataset_->size(); ++index) {
    const Conversation conversation = Get(index);
    SCOPED_TRACE(testing::Message() << "conversation " << index << ", " << conversation.id);
    const torch::Tensor& present = conversation.present;
    if (!present.defined()) continue;
    ASSERT_EQ(present.sizes(), torch::IntArrayRef({conversation.length(), num_modalities}));
    ASSERT_EQ(present.scalar_type(), torch::kBool);
    EXPECT_FALSE(present.all().item<bool>()) << "nothing is missing";
    EXPECT_TRUE(present.any().item<bool>()) << "everything is missing";
    for (int64_t m = 0; m < num_modalities; ++m) {
      const torch::Tensor absent = present.select(1, m).logical_not().nonzero().squeeze(1);
      for (const torch::Tensor& stream : conversation.features[m]) {
        EXPECT_EQ(stream.index_select(0, absent).count_nonzero().item<int64_t>(), 0)
            << info().modalities[m].name;
      }
    }
  }
}

TEST_P(DatasetLaws, SplitsAreDisjointAndTrainAndValidIsTheirUnion) {
  std::set<int64_t> seen;
  for (const Split split : {Split::kTrain, Split::kValid, Split::kTest}) {
    for (const int64_t index : dataset_->split(split)) {
      EXPECT_TRUE(seen.insert(index).second)
          << "conversation " << index << " is in two splits, or twice in one";
    }
  }
  EXPECT_FALSE(dataset_->split(Split::kTrain).empty());
  for (const Split split : kSplits) {
    for (const int64_t index : dataset_->split(split)) {
      EXPECT_GE(index, 0);
      EXPECT_LT(index, dataset_->size());
    }
  }
  std::vector<int64_t> both(dataset_->split(Split::kTrain).begin(),
                            dataset_->split(Split::kTrain).end());
  both.insert(both.end(), dataset_->split(Split::kValid).begin(),
              dataset_->split(Split::kValid).end());
  EXPECT_EQ(Sorted(dataset_->split(Split::kTrainAndValid)), Sorted(both));
}

TEST_P(DatasetLaws, ClassCountsAreThoseOfTheTrainingSplit) {
  std::vector<int64_t> counts(info().num_classes(), 0);
  for (const int64_t index : dataset_->split(Split::kTrain)) {
    const torch::Tensor labels = Get(index).labels;
    const torch::Tensor of_each =
        labels.masked_select(labels != kUnlabelled).bincount({}, info().num_classes());
    for (int64_t c = 0; c < info().num_classes(); ++c) counts[c] += of_each[c].item<int64_t>();
  }
  EXPECT_EQ(info().class_counts, counts);
}

TEST_P(DatasetLaws, SpeakersHaveOneNameEachOrNone) {
  const std::set<std::string> names(info().speaker_names.begin(), info().speaker_names.end());
  EXPECT_EQ(names.size(), info().speaker_names.size());
  if (!names.empty()) {
    EXPECT_EQ(static_cast<int64_t>(names.size()), info().num_speakers);
  }
}

TEST_P(DatasetLaws, GivesTheSameConversationsAgain) {
  const auto again = Create(Datasets(), GetParam());
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_EQ((*again)->size(), dataset_->size());
  for (const Split split : kSplits) {
    EXPECT_EQ((*again)->split(split), dataset_->split(split));
  }
  for (int64_t index = 0; index < dataset_->size(); ++index) {
    SCOPED_TRACE(testing::Message() << "conversation " << index);
    const Conversation conversation = Get(index);
    ExpectSame(Get(index), conversation);
    ExpectSame((*again)->Get(index).value(), conversation);
  }
}

INSTANTIATE_TEST_SUITE_P(Registered, DatasetLaws, testing::ValuesIn(AcceptedCases()), CaseName);

TEST(DatasetSuite, HasSomethingToTest) { ExpectSomethingToTest(Datasets()); }

TEST(DatasetSuite, EveryPluginWorksByDefaultOrSaysWhatItNeedsAndHasACase) {
  const std::vector<PluginCase> accepted = AcceptedCases();
  for (const auto& [type, plugin] : Datasets().plugins()) {
    const std::string& name = type;
    const absl::Status status = Create(Datasets(), PluginCase{name, ""}).status();
    if (!status.ok()) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    }
    EXPECT_TRUE(std::any_of(accepted.begin(), accepted.end(),
                            [&](const PluginCase& one) { return one.type == name; }))
        << name << " cannot be tested without options (" << status
        << "); add an ExtraCase with those that it needs";
  }
}

}  // namespace
}  // namespace cmerc::conformance
