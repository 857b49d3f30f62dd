#include "experiment/over_conversations.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <random>

#include "absl/types/span.h"
#include "experiment/statistics.h"

namespace cmerc {
namespace {

// How often something occurs, at a place of the vector of all counts.
struct Count {
  size_t place;
  int64_t number;
};

// Lists of counts, one for each conversation. What a conversation does not have takes no memory.
class CountLists {
 public:
  void Add(const std::map<size_t, int64_t>& counts) {
    for (const auto& [place, number] : counts) {
      if (number != 0) counts_.push_back({place, number});
    }
    ends_.push_back(counts_.size());
  }
  size_t size() const { return ends_.size(); }
  absl::Span<const Count> operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return absl::MakeConstSpan(counts_).subspan(begin, ends_[i] - begin);
  }

 private:
  std::vector<Count> counts_;
  std::vector<size_t> ends_;
};

// Counts of both systems, from which weighted F1 follows. At `kPredicted` to `kTheirCorrect` after
// (seed * classes + class) * kKinds are what each system predicts as the class and how much of that
// is right; after those of all seeds, the support of each class.
class Counts {
 public:
  enum Kind { kOurPredicted, kOurCorrect, kTheirPredicted, kTheirCorrect, kKinds };

  Counts(size_t seeds, size_t classes) : seeds_(seeds), classes_(classes) {}

  size_t size() const { return (seeds_ * kKinds + 1) * classes_; }
  size_t Place(size_t seed, int32_t of_class, Kind kind) const {
    return (seed * classes_ + static_cast<size_t>(of_class)) * kKinds + kind;
  }
  size_t SupportPlace(int32_t of_class) const {
    return seeds_ * kKinds * classes_ + static_cast<size_t>(of_class);
  }

  // The weighted F1 of our system minus that of theirs, mean over seeds.
  double Difference(const std::vector<int64_t>& counts) const {
    const int64_t* support = counts.data() + seeds_ * kKinds * classes_;
    double sum = 0;
    int64_t utterances = 0;
    for (size_t c = 0; c < classes_; ++c) {
      utterances += support[c];
      if (support[c] == 0) continue;  // weighs nothing
      const auto weight = static_cast<double>(support[c]);
      for (size_t seed = 0; seed < seeds_; ++seed) {
        const int64_t* of_class = counts.data() + (seed * classes_ + c) * kKinds;
        const auto f1 = [&](int64_t predicted, int64_t correct) {
          return static_cast<double>(2 * correct) / static_cast<double>(support[c] + predicted);
        };
        sum += weight * (f1(of_class[kOurPredicted], of_class[kOurCorrect]) -
                         f1(of_class[kTheirPredicted], of_class[kTheirCorrect]));
      }
    }
    // A resample may draw nothing but conversations without utterances.
    if (utterances == 0) return 0;
    return sum / (static_cast<double>(utterances) * static_cast<double>(seeds_));
  }

 private:
  const size_t seeds_, classes_;
};

size_t ClassCount(const std::vector<int32_t>& labels, const std::vector<PairedPredictions>& seeds) {
  int32_t highest = *std::max_element(labels.begin(), labels.end());
  for (const PairedPredictions& seed : seeds) {
    highest = std::max({highest, *std::max_element(seed.ours.begin(), seed.ours.end()),
                        *std::max_element(seed.theirs.begin(), seed.theirs.end())});
  }
  return static_cast<size_t>(highest) + 1;
}

// What each conversation adds to the counts.
CountLists CountsOf(const std::vector<int32_t>& labels, const std::vector<int64_t>& lengths,
                    const std::vector<PairedPredictions>& seeds, const Counts& counts) {
  CountLists lists;
  size_t begin = 0;
  for (const int64_t length : lengths) {
    const size_t end = begin + static_cast<size_t>(length);
    std::map<size_t, int64_t> one;
    for (size_t i = begin; i < end; ++i) {
      ++one[counts.SupportPlace(labels[i])];
      for (size_t s = 0; s < seeds.size(); ++s) {
        const int32_t ours = seeds[s].ours[i], theirs = seeds[s].theirs[i];
        ++one[counts.Place(s, ours, Counts::kOurPredicted)];
        ++one[counts.Place(s, theirs, Counts::kTheirPredicted)];
        if (ours == labels[i]) ++one[counts.Place(s, ours, Counts::kOurCorrect)];
        if (theirs == labels[i]) ++one[counts.Place(s, theirs, Counts::kTheirCorrect)];
      }
    }
    lists.Add(one);
    begin = end;
  }
  return lists;
}

// What the counts gain when a conversation exchanges its predictions: an empty list for one whose
// exchange makes no difference.
CountLists ExchangesOf(const CountLists& conversations, size_t supports_begin) {
  CountLists lists;
  for (size_t k = 0; k < conversations.size(); ++k) {
    std::map<size_t, int64_t> gains;
    for (const Count& count : conversations[k]) {
      if (count.place >= supports_begin) continue;
      const bool ours = count.place % Counts::kKinds < Counts::kTheirPredicted;
      const size_t other =
          ours ? count.place + Counts::kTheirPredicted : count.place - Counts::kTheirPredicted;
      gains[count.place] -= count.number;
      gains[other] += count.number;
    }
    lists.Add(gains);
  }
  return lists;
}

void AddTo(std::vector<int64_t>* counts, absl::Span<const Count> more) {
  for (const Count& count : more) (*counts)[count.place] += count.number;
}

// Weighted F1 of two systems, as the functions below want it: State sums up what conversations
// contribute.
class WeightedF1Systems {
 public:
  using State = std::vector<int64_t>;

  WeightedF1Systems(const std::vector<int32_t>& labels, const std::vector<int64_t>& lengths,
                    const std::vector<PairedPredictions>& seeds)
      : counts_(seeds.size(), ClassCount(labels, seeds)),
        conversations_(CountsOf(labels, lengths, seeds, counts_)),
        exchanges_(ExchangesOf(conversations_, counts_.SupportPlace(0))) {}

  size_t size() const { return conversations_.size(); }
  State Nothing() const { return State(counts_.size()); }
  void Add(size_t conversation, State* state) const { AddTo(state, conversations_[conversation]); }
  // `state` holds the conversation, and then with its predictions exchanged.
  void Exchange(size_t conversation, State* state) const { AddTo(state, exchanges_[conversation]); }
  double Difference(const State& state) const { return counts_.Difference(state); }

 private:
  const Counts counts_;
  const CountLists conversations_, exchanges_;
};

// A measure of sums, in the same way. A State has for each seed the sums of our system and those of
// theirs, and at its end the number of utterances.
class SumSystems {
 public:
  using State = std::vector<double>;

  SumSystems(const std::vector<int64_t>& lengths, const std::vector<PairedSums>& seeds,
             const SumMeasure& measure)
      : lengths_(lengths),
        seeds_(seeds),
        measure_(measure),
        width_(seeds[0].ours.size() / lengths.size()) {}

  size_t size() const { return lengths_.size(); }
  State Nothing() const { return State(seeds_.size() * 2 * width_ + 1); }
  void Add(size_t conversation, State* state) const {
    for (size_t s = 0; s < seeds_.size(); ++s) {
      double* sums = state->data() + s * 2 * width_;
      for (size_t i = 0; i < width_; ++i) {
        sums[i] += seeds_[s].ours[conversation * width_ + i];
        sums[width_ + i] += seeds_[s].theirs[conversation * width_ + i];
      }
    }
    state->back() += static_cast<double>(lengths_[conversation]);
  }
  void Exchange(size_t conversation, State* state) const {
    for (size_t s = 0; s < seeds_.size(); ++s) {
      double* sums = state->data() + s * 2 * width_;
      for (size_t i = 0; i < width_; ++i) {
        const double gain =
            seeds_[s].theirs[conversation * width_ + i] - seeds_[s].ours[conversation * width_ + i];
        sums[i] += gain;
        sums[width_ + i] -= gain;
      }
    }
  }
  double Difference(const State& state) const {
    if (state.back() == 0) return 0;
    double sum = 0;
    for (size_t s = 0; s < seeds_.size(); ++s) {
      const absl::Span<const double> both = absl::MakeConstSpan(state).subspan(s * 2 * width_);
      sum += measure_(both.subspan(0, width_), state.back()) -
             measure_(both.subspan(width_, width_), state.back());
    }
    return sum / static_cast<double>(seeds_.size());
  }

 private:
  const std::vector<int64_t>& lengths_;
  const std::vector<PairedSums>& seeds_;
  const SumMeasure& measure_;
  const size_t width_;  // sums of a conversation
};

template <typename Systems>
double PValue(const Systems& systems, const typename Systems::State& observed, int rounds) {
  // The difference of two sums below 1 is off by a few roundings.
  const double limit = std::abs(systems.Difference(observed)) - 1e-12;
  // mt19937_64 is the same everywhere; the standard's distributions are not.
  std::mt19937_64 random(1);
  int as_far = 0;
  for (int round = 0; round < rounds; ++round) {
    typename Systems::State exchanged = observed;
    uint64_t bits = 0;
    for (size_t k = 0; k < systems.size(); ++k) {
      if (k % 64 == 0) bits = random();
      if ((bits >> (k % 64)) & 1) systems.Exchange(k, &exchanged);
    }
    if (std::abs(systems.Difference(exchanged)) >= limit) ++as_far;
  }
  return static_cast<double>(as_far + 1) / (rounds + 1);
}

// The deviation of the difference over resamples of conversations.
template <typename Systems>
double ResampledDeviation(const Systems& systems, int resamples) {
  std::mt19937_64 random(2);
  double sum = 0, squares = 0;
  for (int resample = 0; resample < resamples; ++resample) {
    typename Systems::State drawn = systems.Nothing();
    for (size_t k = 0; k < systems.size(); ++k) systems.Add(random() % systems.size(), &drawn);
    const double difference = systems.Difference(drawn);
    sum += difference;
    squares += difference * difference;
  }
  const double mean = sum / resamples;
  return std::sqrt(std::max(0.0, (squares - sum * mean) / (resamples - 1)));
}

template <typename Systems>
ConversationComparison Compare(const Systems& systems, const std::vector<int64_t>& lengths,
                               const Rounds& rounds) {
  typename Systems::State observed = systems.Nothing();
  for (size_t k = 0; k < systems.size(); ++k) systems.Add(k, &observed);
  ConversationComparison result;
  result.set_conversations(static_cast<int>(lengths.size()));
  result.set_utterances(
      static_cast<int>(std::accumulate(lengths.begin(), lengths.end(), int64_t{0})));
  result.set_p_value(PValue(systems, observed, rounds.exchanges));
  if (lengths.size() == 1) return result;
  const auto count = static_cast<double>(lengths.size());
  const double difference = systems.Difference(observed);
  const double reach = TQuantile(static_cast<int64_t>(lengths.size()) - 1) *
                       std::sqrt(count / (count - 1)) *
                       ResampledDeviation(systems, rounds.resamples);
  result.mutable_low()->set_value(difference - reach);
  result.mutable_high()->set_value(difference + reach);
  return result;
}

}  // namespace

ConversationComparison CompareOverConversations(const std::vector<int32_t>& labels,
                                                const std::vector<int64_t>& lengths,
                                                const std::vector<PairedPredictions>& seeds,
                                                const Rounds& rounds) {
  return Compare(WeightedF1Systems(labels, lengths, seeds), lengths, rounds);
}

ConversationComparison CompareSumsOverConversations(const std::vector<int64_t>& lengths,
                                                    const std::vector<PairedSums>& seeds,
                                                    const SumMeasure& measure,
                                                    const Rounds& rounds) {
  return Compare(SumSystems(lengths, seeds, measure), lengths, rounds);
}

}  // namespace cmerc
