// Laws of a backbone that predicts a batch and its views in pairs (Backbone::ForwardPaired()).
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "calibration/predict_views.h"
#include "calibration/views.h"
#include "core/replay.h"
#include "tests/conformance/backbone_fixture.h"

namespace cmerc::conformance {
namespace {

using torch::Tensor;

// A loss of all these predictions that has a gradient everywhere.
Tensor SumOfAll(const std::vector<Prediction>& predictions) {
  torch::manual_seed(4);
  Tensor sum = torch::zeros({});
  for (const Prediction& prediction : predictions) {
    for (const Tensor& part : {prediction.log_probs, prediction.features}) {
      sum = sum + (part * torch::rand_like(part)).sum();
    }
  }
  const int64_t rows = predictions[0].log_probs.size(0);
  return sum / static_cast<double>(static_cast<int64_t>(predictions.size()) * rows);
}

// Expects the gradients of both up to rounding, and the buffers bit for bit.
void ExpectSameTraining(const Backbone& got, const Backbone& expected) {
  const auto parameters = expected.named_parameters();
  for (const auto& parameter : got.named_parameters()) {
    const Tensor gradient = parameter.value().grad();
    const Tensor want = parameters[parameter.key()].grad();
    ASSERT_EQ(gradient.defined(), want.defined()) << "the gradient of " << parameter.key();
    if (!want.defined()) continue;
    EXPECT_LE(MaxDifference(gradient, want),
              kReordered * std::max(1.0, want.abs().max().item<double>()))
        << "the gradient of " << parameter.key();
  }
  const auto buffers = expected.named_buffers();
  for (const auto& buffer : got.named_buffers()) {
    EXPECT_TRUE(torch::equal(buffer.value(), buffers[buffer.key()])) << buffer.key();
  }
}

class BackbonePairedLaws : public BackboneFixture {
 protected:
  // Whether the model of the case says, as it may, that it knows no such data.
  bool Refuses(const DatasetInfo& info) const {
    const auto options = SmallOptions(GetParam());
    const auto made = options.ok() ? Backbones().Create(*options, info)
                                   : absl::StatusOr<std::unique_ptr<Backbone>>(options.status());
    return absl::StrContains(made.status().message(), "PAST");
  }

  // The full prediction, and those without each view, one pass after the other.
  static std::vector<Prediction> PredictApart(Backbone& model, const Batch& batch,
                                              const std::vector<View>& views) {
    Replay replay(model, torch::kCPU);
    std::vector<Prediction> predictions = {Predict(model, batch)};
    replay.Begin();
    for (const View& view : views) {
      replay.Rewind();
      predictions.push_back(
          Predict(model, ApplyView(batch, view, CalibrationConfig::REAL_UTTERANCES)));
    }
    return predictions;
  }
};

// One pass over a batch and all its views has the masks, the statistics and the gradients of passes
// one after the other, each with the random numbers of the first. Predictions and gradients agree
// up to the rounding of products over more rows.
TEST_P(BackbonePairedLaws, PairedViewsAreThoseOfPassesOneAfterTheOther) {
  for (const ContextScope scope : {ContextScope::kConversation, ContextScope::kPast}) {
    DatasetInfo info = info_;
    info.context = scope;
    if (scope == ContextScope::kPast && Refuses(info)) continue;
    const std::vector<View> views = AllViews(info);
    // Some of them are equally long.
    const Batch batch = RandomBatch({4, 1, 6, 4}, info, 2);
    for (const bool flags : {false, true}) {
      SCOPED_TRACE(absl::StrCat(scope == ContextScope::kPast ? "past alone" : "whole conversations",
                                flags ? ", with evidence flags" : ""));
      const auto together = flags ? MakeWithFlags(info) : Make(info);
      const auto apart = flags ? MakeWithFlags(info) : Make(info);
      ASSERT_TRUE(together != nullptr && apart != nullptr);
      torch::manual_seed(3);
      const auto input = PredictPaired(*together, batch, views, CalibrationConfig());
      ASSERT_TRUE(input.ok()) << input.status();
      std::vector<Prediction> got = {input->full};
      for (const ViewPrediction& view : input->views) got.push_back(view.prediction);
      torch::manual_seed(3);
      const std::vector<Prediction> expected = PredictApart(*apart, batch, views);
      for (size_t i = 0; i < expected.size(); ++i) {
        SCOPED_TRACE(i == 0 ? "in full" : absl::StrCat("without ", views[i - 1].name()));
        ExpectNear(got[i], expected[i], kReordered);
      }
      SumOfAll(got).backward();
      SumOfAll(expected).backward();
      ExpectSameTraining(*together, *apart);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Registered, BackbonePairedLaws, testing::ValuesIn(CasesOf(Backbones())),
                         CaseName);

}  // namespace
}  // namespace cmerc::conformance
