// Laws of a backbone's predictions, whatever its weights.
#include <gtest/gtest.h>

#include <algorithm>

#include "calibration/views.h"
#include "storage/module_state.h"
#include "tests/conformance/backbone_fixture.h"
#include "tests/conformance/backbone_suite.h"

namespace cmerc::conformance {
namespace {

using torch::Tensor;

// The utterances of each conversation in reverse order, for one modality only: whatever is known of
// their mean stays.
Batch WithModalityReversed(const Batch& batch, size_t modality) {
  Batch reversed = CopyOf(batch);
  for (Tensor& stream : reversed.modalities[modality].streams) {
    for (int64_t b = 0; b < batch.num_conversations(); ++b) {
      Tensor rows = stream[b].narrow(0, 0, batch.lengths[b].item<int64_t>());
      rows.copy_(rows.flip(0).clone());
    }
  }
  return reversed;
}

// i may draw on j only where both have an even or both an odd index.
Batch WithTwoGroups(const Batch& batch) {
  Batch grouped = batch;
  const Tensor odd = torch::arange(batch.max_length()).remainder(2);
  grouped.context = batch.context.logical_and(odd.unsqueeze(1) == odd.unsqueeze(0));
  return grouped;
}

void ExpectDistributions(const Prediction& prediction, const char* what) {
  SCOPED_TRACE(what);
  EXPECT_TRUE(prediction.log_probs.isfinite().all().item<bool>()) << "log_probs are not finite";
  EXPECT_TRUE(prediction.features.isfinite().all().item<bool>()) << "features are not finite";
  const Tensor sums = prediction.log_probs.exp().sum(1);
  // A few float32 probabilities add up to 1 within a few roundings of 6e-8.
  EXPECT_LE(MaxDifference(sums, torch::ones_like(sums)), 1e-6) << "rows do not sum to 1";
}

class BackboneLaws : public BackboneFixture {};

TEST_P(BackboneLaws, TakesItsOptionsAsTheyAre) {
  const auto model = Create<Backbone, const DatasetInfo&>(Backbones(), GetParam(), info_);
  EXPECT_TRUE(model.ok()) << model.status();
}

TEST_P(BackboneLaws, EveryRowIsADistribution) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  for (const bool training : {true, false}) {
    model->train(training);
    const torch::NoGradGuard no_grad;
    ExpectDistributions(Predict(*model, RandomBatch({3, 1, 6}, info_, 2)), "small features");
    Batch large = RandomBatch({4, 5}, info_, 3);
    for (Modality& modality : large.modalities) {
      for (Tensor& stream : modality.streams) stream = 100 * stream;
    }
    ExpectDistributions(Predict(*model, large), "large features");
    Batch zero = RandomBatch({4}, info_, 3);
    for (Modality& modality : zero.modalities) {
      for (Tensor& stream : modality.streams) stream = torch::zeros_like(stream);
    }
    ExpectDistributions(Predict(*model, zero), "features that are all 0");
  }
}

TEST_P(BackboneLaws, EvaluationRepeatsExactlyAndLeavesNoTrace) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  model->eval();
  const torch::NoGradGuard no_grad;
  const StateDict before = StateOf(*model);
  const Batch batch = RandomBatch({3, 5}, info_, 2);
  const Prediction first = Predict(*model, batch);
  Predict(*model, RandomBatch({4, 1, 2}, info_, 3));
  ExpectSameBits(Predict(*model, batch), first);
  for (const auto& [name, value] : StateOf(*model)) {
    EXPECT_TRUE(torch::equal(value, before.at(name))) << name << " has changed";
  }
}

TEST_P(BackboneLaws, LeavesTheBatchAsItWas) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  const Batch batch = RandomBatch({3, 5}, info_, 2);
  const Batch before = CopyOf(batch);
  Predict(*model, batch);
  for (size_t m = 0; m < before.modalities.size(); ++m) {
    for (size_t s = 0; s < before.modalities[m].streams.size(); ++s) {
      EXPECT_TRUE(torch::equal(batch.modalities[m].streams[s], before.modalities[m].streams[s]))
          << before.modalities[m].name;
    }
  }
  EXPECT_TRUE(torch::equal(batch.speakers, before.speakers));
  EXPECT_TRUE(torch::equal(batch.context, before.context));
  EXPECT_TRUE(torch::equal(batch.lengths, before.lengths));
  EXPECT_TRUE(torch::equal(batch.labels, before.labels));
}

TEST_P(BackboneLaws, LabelsAreNotEvidence) {
  const auto model = Make(info_, 1, Dropout::kNone);
  ASSERT_NE(model, nullptr);
  model->eval();
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({3, 5}, info_, 2);
  Batch other = batch;
  other.labels = (batch.labels + 1).remainder(info_.num_classes());
  ExpectSameBits(Predict(*model, other), Predict(*model, batch));
}

TEST_P(BackboneLaws, TheSeedOfLibTorchDecidesTheWeights) {
  const auto first = Make(info_, 7);
  const auto again = Make(info_, 7);
  const auto other = Make(info_, 8);
  ASSERT_TRUE(first != nullptr && again != nullptr && other != nullptr);
  const StateDict want = StateOf(*first);
  const StateDict same = StateOf(*again);
  const StateDict different = StateOf(*other);
  ASSERT_EQ(same.size(), want.size());
  bool all_equal = true;
  for (const auto& [name, value] : want) {
    ASSERT_EQ(same.count(name), 1) << name;
    EXPECT_TRUE(torch::equal(same.at(name), value)) << name << " is not drawn from the seed";
    all_equal = all_equal && torch::equal(different.at(name), value);
  }
  EXPECT_FALSE(all_equal) << "two seeds give the same weights";
}

TEST_P(BackboneLaws, BadBatchesAreInvalidArguments) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  const Batch good = RandomBatch({3, 5}, info_, 2);
  ASSERT_TRUE(model->Forward(good).ok());
  const auto expect_refused = [&](const std::string& what,
                                  const std::function<void(Batch&)>& spoil) {
    Batch bad = CopyOf(good);
    spoil(bad);
    EXPECT_EQ(model->Forward(bad).status().code(), absl::StatusCode::kInvalidArgument) << what;
  };
  expect_refused("one feature more", [](Batch& bad) {
    Tensor& stream = bad.modalities[1].streams[0];
    stream = torch::cat({stream, stream.narrow(2, 0, 1)}, 2);
  });
  expect_refused("float64 features", [](Batch& bad) {
    bad.modalities[0].streams[0] = bad.modalities[0].streams[0].to(torch::kFloat64);
  });
  expect_refused("a modality less", [](Batch& bad) { bad.modalities.pop_back(); });
  expect_refused("a stream less", [](Batch& bad) { bad.modalities[0].streams.pop_back(); });
  expect_refused("modalities in another order",
                 [](Batch& bad) { std::swap(bad.modalities[0], bad.modalities[1]); });
  expect_refused("a speaker too many",
                 [&](Batch& bad) { bad.speakers[1][4] = info_.num_speakers; });
  expect_refused("speaker -1", [](Batch& bad) { bad.speakers[0][0] = -1; });
  expect_refused("a class too many", [&](Batch& bad) { bad.labels[7] = info_.num_classes(); });
  expect_refused("class -1", [](Batch& bad) { bad.labels[0] = -1; });
  expect_refused("float context",
                 [](Batch& bad) { bad.context = bad.context.to(torch::kFloat32); });
  expect_refused("a context too small",
                 [](Batch& bad) { bad.context = bad.context.narrow(2, 0, 4); });
  expect_refused("an empty conversation", [](Batch& bad) { bad.lengths[0] = 0; });
  expect_refused("a conversation longer than the batch", [](Batch& bad) { bad.lengths[1] = 6; });
}

// Forward and backward, then evaluation.
TEST_P(BackboneLaws, ConversationsOfAllKindsWork) {
  DatasetInfo crowd = info_;
  crowd.num_speakers = 30;
  const struct {
    const char* what;
    DatasetInfo info;
    Conversation conversation;
  } kinds[] = {
      {"one utterance", info_, RandomConversation(1, 1, info_, 2)},
      {"two utterances", info_, RandomConversation(2, 2, info_, 2)},
      {"one speaker", info_, RandomConversation(12, 1, info_, 3)},
      {"30 speakers", crowd, RandomConversation(60, 30, crowd, 4)},
      {"500 utterances", info_, RandomConversation(500, 3, info_, 5)},
  };
  for (const auto& kind : kinds) {
    SCOPED_TRACE(kind.what);
    const auto model = Make(kind.info);
    ASSERT_NE(model, nullptr);
    const Batch batch = MakeBatch({kind.conversation}, kind.info);
    const Prediction trained = Predict(*model, batch);
    ExpectDistributions(trained, "in training");
    if (!trained.log_probs.requires_grad()) continue;
    torch::nll_loss(trained.log_probs, batch.labels).backward();
    for (const auto& parameter : model->named_parameters()) {
      const Tensor& gradient = parameter.value().grad();
      if (gradient.defined()) {
        EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << parameter.key();
      }
    }
    model->eval();
    const torch::NoGradGuard no_grad;
    ExpectDistributions(Predict(*model, batch), "in evaluation");
    for (const View& view : AllViews(kind.info)) {
      ExpectDistributions(
          Predict(*model, ApplyView(batch, view, CalibrationConfig::REAL_UTTERANCES)),
          view.name().c_str());
    }
  }
}

TEST_P(BackboneLaws, OneModalityOrFiveWork) {
  DatasetInfo one = info_;
  one.modalities = {{"gaze", 7, 2}};
  DatasetInfo five = info_;
  five.modalities.push_back({"gaze", 7, 2});
  five.modalities.push_back({"eeg", 1, 1});
  for (const DatasetInfo& info : {one, five}) {
    SCOPED_TRACE(testing::Message() << info.modalities.size() << " modalities");
    const auto model = Make(info);
    ASSERT_NE(model, nullptr);
    ExpectDistributions(Predict(*model, RandomBatch({3, 5}, info, 2)), "in training");
  }
}

// Files often hold one object several times, and views expand one row over many.
TEST_P(BackboneLaws, TensorsThatShareMemoryCountLikeCopies) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  model->eval();
  const torch::NoGradGuard no_grad;
  Batch batch = RandomBatch({3, 5}, info_, 2);
  for (Tensor& stream : batch.modalities[0].streams) stream = batch.modalities[0].streams[0];
  // Adding a row up four times may round otherwise than multiplying it by four.
  ExpectNear(Predict(*model, batch), Predict(*model, CopyOf(batch)), kReordered);
  for (const View& view : ModalityViews(info_)) {
    const Batch expanded = ApplyView(batch, view, CalibrationConfig::PADDED_ROWS);
    ExpectNear(Predict(*model, expanded), Predict(*model, CopyOf(expanded)), kReordered);
  }
}

// The views of a batch are predicted together, so that what they share is computed once.
TEST_P(BackboneLaws, ForwardAllIsForwardOfEach) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  model->eval();
  const torch::NoGradGuard no_grad;
  std::vector<Batch> batches = {RandomBatch({3, 5}, info_, 2)};
  for (const View& view : AllViews(info_)) {
    batches.push_back(ApplyView(batches[0], view, CalibrationConfig::REAL_UTTERANCES));
  }
  batches.push_back(RandomBatch({1, 4}, info_, 3));
  const auto predictions = model->ForwardAll(batches);
  ASSERT_TRUE(predictions.ok()) << predictions.status();
  ASSERT_EQ(predictions->size(), batches.size());
  for (size_t i = 0; i < batches.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "batch " << i);
    // What is shared may be computed in another order.
    ExpectNear((*predictions)[i], Predict(*model, batches[i]), kReordered);
  }
}

// A modality view leaves nothing of the modality but its mean; and without the view it is evidence,
// or else masking it could calibrate nothing.
TEST_P(BackboneLaws, AMaskedModalityLeavesOnlyItsMean) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  model->eval();
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({6, 3}, info_, 2);
  for (size_t m = 0; m < info_.modalities.size(); ++m) {
    SCOPED_TRACE(info_.modalities[m].name);
    const View view = ModalityViews(info_)[m];
    const Batch reversed = WithModalityReversed(batch, m);
    const auto predict_masked = [&](const Batch& full) {
      // As in training: the full prediction comes first.
      Predict(*model, full);
      return Predict(*model, ApplyView(full, view, CalibrationConfig::REAL_UTTERANCES));
    };
    // The mean of the same rows in another order.
    ExpectNear(predict_masked(reversed), predict_masked(batch), kReordered);
    EXPECT_GT(MaxDifference(Predict(*model, reversed).log_probs, Predict(*model, batch).log_probs),
              kReordered)
        << "the modality makes no difference";
  }
}

// What a law can demand of context depends on the plugin. Through a recurrent encoder, say, j still
// reaches i when context says that i may not draw on it: that is kPartial, and from outside one can
// only see that cutting context makes a difference (the path that is cut is the plugin's own test).
// Where every path obeys context (kExact), nothing may cross between two groups of utterances
// without context between them, neither features nor speakers.
TEST_P(BackboneLaws, ContextIsUsedAsDeclared) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  model->eval();
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({7, 4}, info_, 2);
  const Batch grouped = WithTwoGroups(batch);
  const Prediction full = Predict(*model, batch);
  const Prediction cut = Predict(*model, grouped);
  const ContextUse use = ContextUseOf(GetParam());
  if (use == ContextUse::kIgnored) {
    ExpectSameBits(cut, full);
    return;
  }
  EXPECT_FALSE(torch::equal(cut.log_probs, full.log_probs))
      << "cutting context changes nothing, so context views cannot calibrate this backbone";
  for (const View& view : ContextViews()) {
    const Batch viewed = ApplyView(batch, view, CalibrationConfig::REAL_UTTERANCES);
    EXPECT_FALSE(torch::equal(Predict(*model, viewed).log_probs, full.log_probs)) << view.name();
  }
  if (use == ContextUse::kPartial) return;
  const Tensor odd = torch::arange(batch.max_length()).remainder(2).to(torch::kBool);
  Batch changed = CopyOf(grouped);
  for (Modality& modality : changed.modalities) {
    for (Tensor& stream : modality.streams) {
      stream = torch::where(odd.view({1, -1, 1}), -3 * stream, stream);
    }
  }
  changed.speakers = torch::where(
      odd.unsqueeze(0), (changed.speakers + 1).remainder(info_.num_speakers), changed.speakers);
  const Tensor packed_odd = odd.unsqueeze(0)
                                .expand_as(batch.speakers)
                                .flatten()
                                .index_select(0, PackedRows(batch.lengths, batch.max_length()));
  const Tensor even_rows = packed_odd.logical_not().nonzero().squeeze(1);
  const Prediction moved = Predict(*model, changed);
  // These are the same products of the same rows; only their neighbors differ.
  EXPECT_LE(MaxDifference(moved.log_probs.index_select(0, even_rows),
                          cut.log_probs.index_select(0, even_rows)),
            1e-6)
      << "utterances outside the context have an influence";
}

INSTANTIATE_TEST_SUITE_P(Registered, BackboneLaws, testing::ValuesIn(CasesOf(Backbones())),
                         CaseName);

// Laws of the default mode: Semantics OFFICIAL keeps the official code's padding effects.
class BatchMateLaws : public BackboneFixture {
 protected:
  // Three more rows of padding, with anything in them (the official masked mean writes there).
  static Batch Padded(const Batch& batch) {
    Batch padded = batch;
    const int64_t longest = batch.max_length() + 3;
    const Tensor padding = ValidRows(batch.lengths, longest).logical_not().unsqueeze(2);
    for (Modality& modality : padded.modalities) {
      for (Tensor& stream : modality.streams) {
        stream = torch::constant_pad_nd(stream, {0, 0, 0, 3}).masked_fill(padding, 7);
      }
    }
    padded.speakers = torch::constant_pad_nd(batch.speakers, {0, 3});
    padded.context = torch::constant_pad_nd(batch.context, {0, 3, 0, 3});
    padded.evidence =
        torch::constant_pad_nd(batch.evidence.to(torch::kInt64), {0, 0, 0, 3}).to(torch::kBool);
    return padded;
  }
};

TEST_P(BatchMateLaws, BatchMatesAndTheirOrderDoNotMatter) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  model->eval();
  const torch::NoGradGuard no_grad;
  const std::vector<Conversation> conversations = RandomConversations({3, 1, 9, 2}, info_, 2);
  const Prediction together = Predict(*model, MakeBatch(conversations, info_));
  std::vector<Tensor> log_probs;
  std::vector<Tensor> features;
  int64_t start = 0;
  for (const Conversation& conversation : conversations) {
    SCOPED_TRACE(testing::Message() << "a conversation of " << conversation.length());
    log_probs.push_back(together.log_probs.narrow(0, start, conversation.length()));
    features.push_back(together.features.narrow(0, start, conversation.length()));
    start += conversation.length();
    ExpectNear(Predict(*model, MakeBatch({conversation}, info_)),
               {log_probs.back(), features.back()}, kReordered);
  }
  SCOPED_TRACE("the reverse order");
  std::reverse(log_probs.begin(), log_probs.end());
  std::reverse(features.begin(), features.end());
  ExpectNear(Predict(*model, MakeBatch(std::vector<Conversation>(conversations.rbegin(),
                                                                 conversations.rend()),
                                       info_)),
             {torch::cat(log_probs), torch::cat(features)}, kReordered);
}

TEST_P(BatchMateLaws, PaddingDoesNotMatter) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  model->eval();
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({3, 1, 5}, info_, 2);
  ExpectNear(Predict(*model, Padded(batch)), Predict(*model, batch), kReordered);
}

// Padding does not matter either for what training keeps: the running statistics of batch
// normalization.
TEST_P(BatchMateLaws, PaddingDoesNotMatterInTraining) {
  const auto model = Make(info_, 1, Dropout::kNone);
  const auto other = Make(info_, 1, Dropout::kNone);
  ASSERT_TRUE(model != nullptr && other != nullptr);
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({3, 1, 5}, info_, 2);
  torch::manual_seed(1);
  const Prediction prediction = Predict(*model, batch);
  torch::manual_seed(2);
  if (!torch::equal(Predict(*model, batch).log_probs, prediction.log_probs)) {
    GTEST_SKIP() << "random in training even with every field called dropout at 0";
  }
  ExpectNear(Predict(*other, Padded(batch)), prediction, kReordered);
  Predict(*other, Padded(batch));
  const StateDict want = StateOf(*model);
  for (const auto& [name, value] : StateOf(*other)) {
    EXPECT_LE(MaxDifference(value.to(torch::kFloat64), want.at(name).to(torch::kFloat64)),
              kReordered)
        << name;
  }
}

std::vector<PluginCase> DefaultSemantics() {
  std::vector<PluginCase> cases;
  for (const PluginCase& plugin : CasesOf(Backbones())) {
    if (!IsOfficial(plugin)) cases.push_back(plugin);
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Registered, BatchMateLaws, testing::ValuesIn(DefaultSemantics()),
                         CaseName);

TEST(BackboneSuite, HasSomethingToTest) { ExpectSomethingToTest(Backbones()); }

}  // namespace
}  // namespace cmerc::conformance
