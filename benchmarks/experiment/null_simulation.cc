#include "benchmarks/experiment/null_simulation.h"

#include <cmath>
#include <cstddef>

#include "experiment/statistics.h"

namespace cmerc {
namespace {

constexpr double kLevel = 0.05;
constexpr int kFew = 199;

// How one run of a system gets on with one conversation.
struct Fit {
  double log_odds;
  int32_t usual_mistake;
};

int32_t Predict(int32_t label, double log_odds, int32_t classes, const Fit& fit,
                std::mt19937_64* random) {
  std::uniform_real_distribution<double> uniform;
  if (uniform(*random) < 1 / (1 + std::exp(-log_odds - fit.log_odds))) return label;
  if (fit.usual_mistake != label && uniform(*random) < 0.5) return fit.usual_mistake;
  const auto other = static_cast<int32_t>(uniform(*random) * (classes - 1));
  return other < label ? other : other + 1;
}

}  // namespace

std::vector<PairedPredictions> DrawEqualSystems(const TestSplit& split, int seeds, double effect,
                                                std::mt19937_64* random) {
  std::normal_distribution<double> normal;
  std::vector<PairedPredictions> drawn(seeds);
  size_t begin = 0;
  for (const int64_t length : split.lengths) {
    const double ease = 0.75 + normal(*random);
    std::vector<Fit> ours, theirs;
    for (std::vector<Fit>* system : {&ours, &theirs}) {
      const double of_system = effect * normal(*random);
      const auto mistake = static_cast<int32_t>((*random)() % split.classes);
      for (int s = 0; s < seeds; ++s) {
        system->push_back({of_system + effect / 2 * normal(*random), mistake});
      }
    }
    for (size_t i = begin; i < begin + static_cast<size_t>(length); ++i) {
      const int32_t label = split.labels[i];
      const double log_odds = ease + normal(*random);
      for (int s = 0; s < seeds; ++s) {
        drawn[s].ours.push_back(Predict(label, log_odds, split.classes, ours[s], random));
        drawn[s].theirs.push_back(Predict(label, log_odds, split.classes, theirs[s], random));
      }
    }
    begin += static_cast<size_t>(length);
  }
  return drawn;
}

ErrorRates MeasureErrorRates(const TestSplit& split, int seeds, double effect, int rounds) {
  std::mt19937_64 random(11);
  const std::vector<int64_t> each_alone(split.labels.size(), 1);
  int rejected = 0, covered = 0, by_utterances = 0, rejected_by_utterances = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto drawn = DrawEqualSystems(split, seeds, effect, &random);
    const ConversationComparison whole =
        CompareOverConversations(split.labels, split.lengths, drawn, {kFew, kFew});
    rejected += whole.p_value() <= kLevel ? 1 : 0;
    covered += whole.low().value() <= 0 && whole.high().value() >= 0 ? 1 : 0;
    if (round % 10 != 0) continue;  // utterances are many
    ++by_utterances;
    const ConversationComparison single =
        CompareOverConversations(split.labels, each_alone, drawn, {kFew, 2});
    rejected_by_utterances += single.p_value() <= kLevel ? 1 : 0;
  }
  const auto share = [](int count, int all) { return static_cast<double>(count) / all; };
  return {share(rejected, rounds), share(rejected_by_utterances, by_utterances),
          share(covered, rounds)};
}

double CoverageOverSeeds(int seeds, int rounds) {
  constexpr double kMean = 0.6, kDeviation = 0.02;
  std::mt19937_64 random(12);
  std::normal_distribution<double> normal(kMean, kDeviation);
  int covered = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<double> values(seeds);
    for (double& value : values) value = normal(random);
    const Statistic statistic = Describe(values);
    const bool holds = statistic.low().value() <= kMean && statistic.high().value() >= kMean;
    covered += holds ? 1 : 0;
  }
  return static_cast<double>(covered) / rounds;
}

}  // namespace cmerc
