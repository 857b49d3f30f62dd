// What the server counts of its work, as Prometheus reads it.
#ifndef CMERC_SERVING_COUNTERS_H_
#define CMERC_SERVING_COUNTERS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace cmerc::serving {

// Safe to use from several threads.
class Counters {
 public:
  // A request has been answered: `what` is "infer", "predict", "converse" or "other", `code` the
  // name of a status code.
  void AddRequest(const std::string& protocol, const std::string& what, const std::string& code,
                  double seconds);
  // A worker has predicted so much in one pass.
  void AddPredicted(const std::string& model, int64_t conversations, int64_t utterances);
  void AddLoad(const std::string& model, bool succeeded);
  void AddOpenStreams(int64_t change);
  int64_t open_streams() const;

  // Everything in Prometheus's text format, and what is so just now: how many requests wait, and
  // which models are ready.
  std::string Text(size_t waiting, const std::map<std::string, bool>& ready) const;

 private:
  // Upper bounds in seconds; one more has the rest.
  static constexpr std::array<double, 12> kBounds = {.001, .0025, .005, .01, .02, .05,
                                                     .1,   .25,   .5,   1,   2.5, 10};
  struct Histogram {
    std::array<int64_t, kBounds.size() + 1> counts{};
    double sum = 0;
  };
  struct Predicted {
    int64_t passes = 0, conversations = 0, utterances = 0;
  };

  mutable std::mutex mutex_;
  std::map<std::string, int64_t> requests_;  // by labels
  std::map<std::string, Histogram> seconds_;
  std::map<std::string, Predicted> predicted_;
  std::map<std::string, std::pair<int64_t, int64_t>> loads_;  // that succeeded, and not
  int64_t open_streams_ = 0;
};

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_COUNTERS_H_
