// Laws that every registered learning rate obeys.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "core/learning_rate.h"
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {
namespace {

// Scores as a run has them: they rise and then stay, in whole hundredths, and below 0 for the NLL.
std::vector<double> RandomScores(int64_t epochs, double lowest) {
  std::mt19937 random(7);
  std::vector<double> scores;
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    const double risen = std::min<double>(0.5, 0.02 * static_cast<double>(epoch));
    scores.push_back(lowest + risen + static_cast<double>(random() % 10) / 100);
  }
  return scores;
}

// Runs of few and many epochs and steps; those of a curriculum have more and more steps.
struct RunShape {
  int64_t epochs;
  int64_t first_steps;
  int64_t last_steps;
};
const RunShape kRuns[] = {{1, 1, 1}, {1, 7, 7}, {3, 1, 4}, {60, 7, 7}, {200, 2, 9}};

class LearningRateLaws : public testing::TestWithParam<PluginCase> {
 protected:
  void SetUp() override {
    auto rate = Create(LearningRates(), GetParam());
    ASSERT_TRUE(rate.ok()) << rate.status();
    rate_ = *std::move(rate);
  }

  // The places of all steps of a run, with what `scores` says of the epochs before each.
  static std::vector<StepPlace> PlacesOf(const RunShape& run, const std::vector<double>& scores) {
    std::vector<StepPlace> places;
    for (int64_t epoch = 0; epoch < run.epochs; ++epoch) {
      const int64_t steps = std::min(run.last_steps, run.first_steps + epoch);
      for (int64_t step = 0; step < steps; ++step) {
        places.push_back({epoch, run.epochs, step, steps,
                          absl::MakeConstSpan(scores).subspan(0, static_cast<size_t>(epoch))});
      }
    }
    return places;
  }

  std::unique_ptr<LearningRate> rate_;
};

TEST_P(LearningRateLaws, EveryFactorIsFiniteAndNotBelowZero) {
  for (const double lowest : {0.2, -2.0}) {
    for (const RunShape& run : kRuns) {
      const std::vector<double> scores = RandomScores(run.epochs, lowest);
      for (const StepPlace& place : PlacesOf(run, scores)) {
        const double factor = rate_->Factor(place);
        ASSERT_TRUE(std::isfinite(factor) && factor >= 0)
            << factor << " in epoch " << place.epoch << " of " << place.epochs << ", step "
            << place.step << " of " << place.steps;
      }
    }
  }
}

TEST_P(LearningRateLaws, SomeStepOfEveryRunMoves) {
  for (const RunShape& run : kRuns) {
    const std::vector<double> scores = RandomScores(run.epochs, 0.2);
    const std::vector<StepPlace> places = PlacesOf(run, scores);
    EXPECT_TRUE(std::any_of(places.begin(), places.end(),
                            [&](const StepPlace& place) { return rate_->Factor(place) > 0; }))
        << "a run of " << run.epochs << " epochs";
  }
}

// A run that is resumed asks another object, and for the later steps alone.
TEST_P(LearningRateLaws, TheFactorDependsOnThePlaceAlone) {
  const RunShape run = {20, 3, 3};
  const std::vector<double> scores = RandomScores(run.epochs, 0.2);
  const std::vector<StepPlace> places = PlacesOf(run, scores);
  std::vector<double> factors;
  factors.reserve(places.size());
  for (const StepPlace& place : places) factors.push_back(rate_->Factor(place));
  for (size_t i = places.size(); i-- > 0;) {
    EXPECT_EQ(rate_->Factor(places[i]), factors[i]) << "asked again, step " << i;
  }
  const auto another = Create(LearningRates(), GetParam());
  ASSERT_TRUE(another.ok()) << another.status();
  for (size_t i = places.size() / 2; i < places.size(); ++i) {
    EXPECT_EQ((*another)->Factor(places[i]), factors[i]) << "resumed, step " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Registered, LearningRateLaws, testing::ValuesIn(CasesOf(LearningRates())),
                         CaseName);

TEST(LearningRateSuite, HasSomethingToTest) { ExpectSomethingToTest(LearningRates()); }

}  // namespace
}  // namespace cmerc::conformance
