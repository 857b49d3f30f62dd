// The laws that only Evidential has; //tests/conformance has those of all backbones.
#include <gtest/gtest.h>

#include <memory>

#include "backbones/evidential/evidential.pb.h"
#include "calibration/views.h"
#include "core/backbone.h"
#include "core/view.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;

std::unique_ptr<Backbone> Model() {
  EvidentialOptions options;
  options.set_hidden_width(6);
  auto model = CreateBackbone(options, SmallInfo());
  TORCH_CHECK(model.ok(), model.status().ToString());
  (*model)->eval();
  return *std::move(model);
}

Batch Without(const Batch& batch, const View& view) {
  return ApplyView(batch, view, CalibrationConfig::REAL_UTTERANCES);
}

TEST(EvidentialTest, EvidenceIsNeverNegativeAndMakesTheProbabilities) {
  const auto model = Model();
  const torch::NoGradGuard no_grad;
  const Prediction prediction = Predict(*model, SmallBatch({4, 1, 3}, SmallInfo()));
  EXPECT_EQ(prediction.features.sizes(), torch::IntArrayRef({8, 3 * 2 * 3}));
  EXPECT_GE(prediction.features.min().item<float>(), 0);
  const Tensor alpha = 1 + prediction.features.view({8, 6, 3}).sum(1);
  const Tensor expected = alpha / alpha.sum(1, true);
  EXPECT_LE(MaxDifference(prediction.log_probs.exp(), expected), 1e-6);
}

// Term by term: what is left is the same bits, what is gone is 0.
TEST(EvidentialTest, ASourceThatGoesTakesItsEvidenceAndLeavesTheRest) {
  const auto model = Model();
  const torch::NoGradGuard no_grad;
  const Batch batch = SmallBatch({4, 1, 3}, SmallInfo());
  const Tensor full = Predict(*model, batch).features.view({8, 2, 3, 3});  // [N, M, kind, C]
  for (const View& view : AllViews(SmallInfo())) {
    Tensor expected = full.clone();
    switch (view.kind) {
      case View::Kind::kModality:
        expected.select(1, view.modality == "text" ? 0 : 1).fill_(0);
        break;
      case View::Kind::kSameSpeaker:
        expected.select(2, 1).fill_(0);
        break;
      case View::Kind::kOtherSpeakers:
        expected.select(2, 2).fill_(0);
        break;
    }
    const Tensor without = Predict(*model, Without(batch, view)).features.view({8, 2, 3, 3});
    EXPECT_TRUE(without.equal(expected)) << view.name();
    EXPECT_FALSE(without.equal(full)) << view.name();
  }
}

TEST(EvidentialTest, NobodyElseSaysNothing) {
  const auto model = Model();
  const torch::NoGradGuard no_grad;
  // Speakers take turns: the first two utterances of a conversation are of different speakers.
  const Tensor features =
      Predict(*model, SmallBatch({2, 1}, SmallInfo())).features.view({3, 2, 3, 3});
  EXPECT_EQ(features.select(2, 1).abs().max().item<float>(), 0) << "no second one of a speaker";
  EXPECT_GT(features.select(2, 2).narrow(0, 0, 2).min().item<float>(), 0);
  EXPECT_EQ(features.select(2, 2)[2].abs().max().item<float>(), 0) << "alone";
}

TEST(EvidentialTest, WhatAnUtteranceLacksSaysNothingToTheOthers) {
  const auto model = Model();
  const torch::NoGradGuard no_grad;
  Batch batch = SmallBatch({3}, SmallInfo());
  batch.evidence[0][1][0] = false;  // the second utterance has no text
  const Tensor before = Predict(*model, batch).features;
  for (Tensor& stream : batch.modalities[0].streams) {
    stream = stream.clone();
    stream[0][1] += 1;
  }
  EXPECT_TRUE(Predict(*model, batch).features.equal(before));
}

// A batch that somebody made by hand.
TEST(EvidentialTest, WithoutFlagsAllIsThere) {
  const auto model = Model();
  const torch::NoGradGuard no_grad;
  Batch batch = SmallBatch({4, 2}, SmallInfo());
  const Tensor features = Predict(*model, batch).features;
  batch.evidence = Tensor();
  EXPECT_TRUE(Predict(*model, batch).features.equal(features));
}

}  // namespace
}  // namespace cmerc
