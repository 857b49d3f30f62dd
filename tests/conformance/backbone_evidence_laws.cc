// Laws of a backbone that is shown which evidence is missing.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "calibration/predict_views.h"
#include "storage/module_state.h"
#include "tests/conformance/backbone_fixture.h"

namespace cmerc::conformance {
namespace {

class BackboneEvidenceLaws : public BackboneFixture {};

// A model that shows evidence predicts as the plain one does where nothing lacks, and trains as it
// does.
TEST_P(BackboneEvidenceLaws, EvidenceFlagsChangeNothingWhereNothingIsMissing) {
  for (const bool training : {false, true}) {
    SCOPED_TRACE(training ? "in training" : "in evaluation");
    const auto plain = Make(info_);
    const auto flagged = MakeWithFlags(info_);
    ASSERT_TRUE(plain != nullptr && flagged != nullptr);
    const Batch batch = RandomBatch({3, 1, 5}, info_, 2);
    plain->train(training);
    flagged->train(training);
    torch::manual_seed(3);
    const Prediction expected = Predict(*plain, batch);
    torch::manual_seed(3);
    ExpectSameBits(Predict(*flagged, batch), expected);
    const StateDict want = StateOf(*plain);
    const StateDict got = StateOf(*flagged);
    for (const auto& [name, value] : want) {
      ASSERT_EQ(got.count(name), 1U) << name;
      EXPECT_TRUE(torch::equal(got.at(name), value)) << name;
    }
  }
}

// Whatever lacks can be seen, also where it lacks all through a conversation, as in a view: a
// backbone must not take away what utterances have in common.
TEST_P(BackboneEvidenceLaws, EvidenceFlagsShowWhatIsMissing) {
  const auto model = MakeWithFlags(info_);
  ASSERT_NE(model, nullptr);
  model->eval();
  const torch::NoGradGuard no_grad;
  const Batch batch = RandomBatch({4, 3}, info_, 2);
  const Prediction full = Predict(*model, batch);
  for (int64_t source = 0; source < batch.evidence.size(2); ++source) {
    SCOPED_TRACE(testing::Message() << "source " << source);
    Batch without = CopyOf(batch);
    without.evidence.select(2, source).fill_(false);
    EXPECT_GT(MaxDifference(Predict(*model, without).log_probs, full.log_probs), kReordered)
        << "what lacks in every utterance makes no difference";
    without.evidence = batch.evidence.clone();
    without.evidence[0][2][source] = false;
    EXPECT_GT(MaxDifference(Predict(*model, without).log_probs[2], full.log_probs[2]), kReordered)
        << "what lacks in one utterance makes no difference to it";
  }
}

// Flags that are 0 leave the features of a view as those of the full prediction are, which must not
// be reused: no gradient would ever reach the flags.
TEST_P(BackboneEvidenceLaws, PairedViewsTeachEvidenceFlags) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  model->ShowEvidence();
  for (uint64_t seed = 2; seed < 5; ++seed) {
    const Batch batch = RandomBatch({4, 1, 6}, info_, seed);
    const auto input = PredictPaired(*model, batch, AllViews(info_), CalibrationConfig());
    ASSERT_TRUE(input.ok()) << input.status();
    torch::Tensor loss = torch::zeros({});
    for (const ViewPrediction& view : input->views) {
      loss = loss + torch::nll_loss(view.prediction.log_probs, batch.labels) +
             view.prediction.features.square().mean();
    }
    loss.backward();
  }
  const auto parameters = model->named_parameters();
  // [sources]: the largest gradient in any modality. A backbone that leaves out what is missing by
  // itself has none in that very modality.
  torch::Tensor largest = torch::zeros({static_cast<int64_t>(info_.modalities.size()) + 2});
  for (size_t m = 0; m < info_.modalities.size(); ++m) {
    const torch::Tensor gradient = parameters[absl::StrCat("evidence_flags.", m)].grad();
    if (gradient.defined()) largest = largest.maximum(std::get<0>(gradient.abs().max(1)));
  }
  for (int64_t source = 0; source < largest.size(0); ++source) {
    EXPECT_GT(largest[source].item<double>(), 0)
        << "no evidence flag has a gradient from the view without source " << source;
  }
}

INSTANTIATE_TEST_SUITE_P(Registered, BackboneEvidenceLaws, testing::ValuesIn(CasesOf(Backbones())),
                         CaseName);

}  // namespace
}  // namespace cmerc::conformance
