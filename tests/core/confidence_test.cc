#include "core/confidence.h"

#include <gtest/gtest.h>

namespace cmerc {
namespace {

TEST(ConfidenceTest, TrueClassLogProbsPicksTheLabelsColumn) {
  const torch::Tensor log_probs = torch::tensor({{-1.0F, -2.0F}, {-3.0F, -4.0F}, {-5.0F, -6.0F}});
  const torch::Tensor labels = torch::tensor({1, 0, 1}, torch::kInt64);
  EXPECT_TRUE(TrueClassLogProbs(log_probs, labels).equal(torch::tensor({-2.0F, -3.0F, -6.0F})));
}

// Class 0 is always the truth. Columns: full and view log-probabilities of both classes.
TEST(ConfidenceTest, LabelIsOneOnlyWhereTheEvidenceMadeTheModelRightOrSurer) {
  const torch::Tensor full = torch::tensor({{0.9F, 0.1F},    // right and surer
                                            {0.6F, 0.4F},    // right, less sure
                                            {0.6F, 0.4F},    // right, as sure
                                            {0.6F, 0.4F},    // right where the view is wrong
                                            {0.4F, 0.6F},    // wrong where the view is right
                                            {0.4F, 0.6F},    // both wrong, surer
                                            {0.3F, 0.7F}});  // both wrong, less sure
  const torch::Tensor view = torch::tensor({{0.8F, 0.2F},
                                            {0.7F, 0.3F},
                                            {0.6F, 0.4F},
                                            {0.2F, 0.8F},
                                            {0.9F, 0.1F},
                                            {0.3F, 0.7F},
                                            {0.4F, 0.6F}});
  const torch::Tensor labels = torch::zeros({7}, torch::kInt64);
  EXPECT_TRUE(ConfidenceLabels(full.log(), view.log(), labels)
                  .equal(torch::tensor({1, 0, 0, 1, 0, 0, 0}, torch::kInt64)));
}

TEST(ConfidenceTest, ARightAnswerBeatsAWrongOneThatIsSurerOfTheTruth) {
  // Three classes: the view gives the truth more, and yet another class most.
  const torch::Tensor full = torch::tensor({{0.36F, 0.32F, 0.32F}}).log();
  const torch::Tensor view = torch::tensor({{0.45F, 0.50F, 0.05F}}).log();
  const torch::Tensor labels = torch::zeros({1}, torch::kInt64);
  EXPECT_EQ(ConfidenceLabels(full, view, labels).item<int64_t>(), 1);
}

TEST(ConfidenceTest, LabelsHaveNoGradient) {
  const torch::Tensor full = torch::rand({3, 2}).set_requires_grad(true);
  const torch::Tensor labels = torch::zeros({3}, torch::kInt64);
  EXPECT_FALSE(ConfidenceLabels(full, torch::rand({3, 2}), labels).requires_grad());
}

TEST(ConfidenceTest, ClassWeightsAreInverseShares) {
  const auto weights = [](std::vector<int64_t> labels) {
    return ConfidenceClassWeights(torch::tensor(labels, torch::kInt64));
  };
  EXPECT_TRUE(weights({1, 0, 1, 1}).equal(torch::tensor({4.0F, 4.0F / 3.0F})));
  EXPECT_TRUE(weights({1}).equal(torch::tensor({0.0F, 1.0F})));
  EXPECT_TRUE(weights({0, 0, 0}).equal(torch::tensor({1.0F, 0.0F})));
}

}  // namespace
}  // namespace cmerc
