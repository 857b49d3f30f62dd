#include "metrics/ece_noise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace cmerc {
namespace {

constexpr int kBins = 15;

BinnedPrediction Prediction(double confidence, bool right = true) {
  return {std::min(kBins - 1, static_cast<int>(confidence * kBins)), confidence, right};
}

// The ECE by its definition.
double Ece(const std::vector<BinnedPrediction>& predictions) {
  std::vector<double> surplus(kBins);
  for (const BinnedPrediction& one : predictions) {
    surplus[one.bin] += (one.right ? 1 : 0) - one.confidence;
  }
  double sum = 0;
  for (const double of_bin : surplus) sum += std::abs(of_bin);
  return sum / static_cast<double>(predictions.size());
}

TEST(EceFloorTest, ByHand) {
  // Right with 0.7 or wrong: |1 - 0.7| with probability 0.7, |0 - 0.7| with 0.3.
  EXPECT_NEAR(EceFloor(std::vector{Prediction(0.7)}), 2 * 0.7 * 0.3, 1e-15);
  // 0, 1 or 2 of two right, with 0.04, 0.32 and 0.64; 1.6 on average.
  const std::vector<BinnedPrediction> two = {Prediction(0.8), Prediction(0.8)};
  EXPECT_NEAR(EceFloor(two), (0.04 * 1.6 + 0.32 * 0.6 + 0.64 * 0.4) / 2, 1e-15);
  // Whether they were right says nothing of what they would be.
  EXPECT_EQ(EceFloor(two), EceFloor(std::vector{Prediction(0.8, false), Prediction(0.8)}));
  EXPECT_EQ(EceFloor(std::vector{Prediction(1), Prediction(1), Prediction(0)}), 0);
}

// Confidences as models have them.
std::vector<BinnedPrediction> Spread(int count) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> uniform(0.2, 1);
  std::vector<BinnedPrediction> predictions;
  for (int i = 0; i < count; ++i) predictions.push_back(Prediction(uniform(random)));
  return predictions;
}

TEST(EceFloorTest, IsTheMeanOverDrawnOutcomes) {
  std::vector<BinnedPrediction> predictions = Spread(200);
  const double floor = EceFloor(predictions);
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> uniform;
  constexpr int kRounds = 20000;
  double sum = 0, squares = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (BinnedPrediction& one : predictions) one.right = uniform(random) < one.confidence;
    const double ece = Ece(predictions);
    sum += ece;
    squares += ece * ece;
  }
  const double mean = sum / kRounds;
  // Four standard errors of the mean of the drawn ones.
  EXPECT_NEAR(floor, mean, 4 * std::sqrt((squares / kRounds - mean * mean) / kRounds));
}

// A split four times as large has half the floor; from a variance of 1000 in a bin on, it comes
// from a normal distribution.
TEST(EceFloorTest, FallsWithTheSizeOfTheSplit) {
  const double small = EceFloor(Spread(1500)), large = EceFloor(Spread(6000));
  EXPECT_NEAR(large / small, 0.5, 0.02);
  std::vector<BinnedPrediction> below(3999, Prediction(0.5)), above(4001, Prediction(0.5));
  EXPECT_NEAR(EceFloor(above) * std::sqrt(4001) / (EceFloor(below) * std::sqrt(3999)), 1, 1e-4);
}

TEST(EceErrorTest, NeedsTwoConversations) {
  const std::vector<BinnedPrediction> predictions = Spread(10);
  EXPECT_FALSE(EceError(predictions, {}).has_value());
  EXPECT_FALSE(EceError(predictions, {10}).has_value());
  EXPECT_TRUE(EceError(predictions, {4, 6}).has_value());
}

// With one bin and all of one sign the ECE is a mean over conversations of equal length.
TEST(EceErrorTest, IsTheStandardErrorOfAMeanOverConversations) {
  constexpr int kConversations = 60, kLength = 5;
  std::vector<BinnedPrediction> predictions;
  std::vector<double> gaps;
  std::mt19937_64 random(6);
  for (int k = 0; k < kConversations; ++k) {
    // At least three of five wrong, all with confidence 0.95.
    const int wrong = 3 + static_cast<int>(random() % 3);
    for (int i = 0; i < kLength; ++i) predictions.push_back(Prediction(0.95, i >= wrong));
    gaps.push_back(0.95 - static_cast<double>(kLength - wrong) / kLength);
  }
  double sum = 0, squares = 0;
  for (const double gap : gaps) sum += gap, squares += gap * gap;
  const double mean = sum / kConversations;
  const double error = std::sqrt((squares / kConversations - mean * mean) / kConversations);
  EXPECT_NEAR(Ece(predictions), mean, 1e-12);
  // 1000 resamples know a deviation to 2.2 %: three of these.
  EXPECT_NEAR(*EceError(predictions, std::vector<int64_t>(kConversations, kLength)), error,
              0.07 * error);
}

TEST(EceErrorTest, ConversationsAreWhatIsDrawn) {
  // Each conversation is all right or all wrong: as few independent numbers as conversations.
  std::vector<BinnedPrediction> predictions;
  for (int k = 0; k < 20; ++k) {
    for (int i = 0; i < 25; ++i) predictions.push_back(Prediction(0.9, k % 2 == 0));
  }
  const double whole = *EceError(predictions, std::vector<int64_t>(20, 25));
  const double single = *EceError(predictions, std::vector<int64_t>(500, 1));
  EXPECT_NEAR(whole / single, 5, 0.5);  // sqrt(25)
  EXPECT_EQ(whole, *EceError(predictions, std::vector<int64_t>(20, 25)));
}

}  // namespace
}  // namespace cmerc
