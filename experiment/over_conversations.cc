#include "experiment/over_conversations.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
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

double PValue(const Counts& counts, const std::vector<int64_t>& observed,
              const CountLists& exchanges, int rounds) {
  // The difference of two sums below 1 is off by a few roundings.
  const double limit = std::abs(counts.Difference(observed)) - 1e-12;
  // mt19937_64 is the same everywhere; the standard's distributions are not.
  std::mt19937_64 random(1);
  int as_far = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<int64_t> exchanged = observed;
    uint64_t bits = 0;
    for (size_t k = 0; k < exchanges.size(); ++k) {
      if (k % 64 == 0) bits = random();
      if ((bits >> (k % 64)) & 1) AddTo(&exchanged, exchanges[k]);
    }
    if (std::abs(counts.Difference(exchanged)) >= limit) ++as_far;
  }
  return static_cast<double>(as_far + 1) / (rounds + 1);
}

// The deviation of the difference over resamples of conversations.
double ResampledDeviation(const Counts& counts, const CountLists& conversations, int resamples) {
  std::mt19937_64 random(2);
  double sum = 0, squares = 0;
  for (int resample = 0; resample < resamples; ++resample) {
    std::vector<int64_t> drawn(counts.size());
    for (size_t k = 0; k < conversations.size(); ++k) {
      AddTo(&drawn, conversations[random() % conversations.size()]);
    }
    const double difference = counts.Difference(drawn);
    sum += difference;
    squares += difference * difference;
  }
  const double mean = sum / resamples;
  return std::sqrt(std::max(0.0, (squares - sum * mean) / (resamples - 1)));
}

}  // namespace

ConversationComparison CompareOverConversations(const std::vector<int32_t>& labels,
                                                const std::vector<int64_t>& lengths,
                                                const std::vector<PairedPredictions>& seeds,
                                                const Rounds& rounds) {
  const Counts counts(seeds.size(), ClassCount(labels, seeds));
  const CountLists conversations = CountsOf(labels, lengths, seeds, counts);
  std::vector<int64_t> observed(counts.size());
  for (size_t k = 0; k < conversations.size(); ++k) AddTo(&observed, conversations[k]);

  ConversationComparison result;
  result.set_conversations(static_cast<int>(lengths.size()));
  result.set_utterances(static_cast<int>(labels.size()));
  result.set_p_value(PValue(counts, observed, ExchangesOf(conversations, counts.SupportPlace(0)),
                            rounds.exchanges));
  const auto count = static_cast<double>(lengths.size());
  if (lengths.size() > 1) {
    const double difference = counts.Difference(observed);
    const double reach = TQuantile(static_cast<int64_t>(lengths.size()) - 1) *
                         std::sqrt(count / (count - 1)) *
                         ResampledDeviation(counts, conversations, rounds.resamples);
    result.mutable_low()->set_value(difference - reach);
    result.mutable_high()->set_value(difference + reach);
  }
  return result;
}

}  // namespace cmerc
