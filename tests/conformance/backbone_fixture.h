// Small models and random conversations for the backbone suite.
#ifndef CMERC_TESTS_CONFORMANCE_BACKBONE_FIXTURE_H_
#define CMERC_TESTS_CONFORMANCE_BACKBONE_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "core/backbone.h"
#include "core/batch.h"
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {

// Float32 sums of the same numbers in another order (a matrix product of another height, a
// conversation at another place) differ by some 1e-6 here.
constexpr double kReordered = 1e-5;

// Text (four streams), audio and visual; three classes, three speakers.
DatasetInfo SuiteInfo();

// A conversation of `length` utterances with features from a normal distribution; its speakers are
// 0, 1, ..., num_speakers - 1, 0, ... and its labels go round the classes.
Conversation RandomConversation(int64_t length, int64_t num_speakers, const DatasetInfo& info,
                                uint64_t seed);

// Conversations of these lengths, with all speakers of `info`.
std::vector<Conversation> RandomConversations(const std::vector<int64_t>& lengths,
                                              const DatasetInfo& info, uint64_t seed);
Batch RandomBatch(const std::vector<int64_t>& lengths, const DatasetInfo& info, uint64_t seed);

// A batch that shares no memory with `batch`.
Batch CopyOf(const Batch& batch);

// max |a - b|; infinite for tensors of different shapes.
double MaxDifference(const torch::Tensor& a, const torch::Tensor& b);

// Expects the same bits in both.
void ExpectSameBits(const Prediction& a, const Prediction& b);
// Expects max |a - b| <= tolerance * max(1, max |b|), for both tensors.
void ExpectNear(const Prediction& a, const Prediction& b, double tolerance);

class BackboneFixture : public testing::TestWithParam<PluginCase> {
 protected:
  enum class Dropout { kAsGiven, kNone };

  // The model of the case, small where its options leave that open. Fails the test and returns null
  // if the plugin refuses.
  std::shared_ptr<Backbone> Make(const DatasetInfo& info, uint64_t seed = 1,
                                 Dropout dropout = Dropout::kAsGiven) const;

  // Make(), and it shows evidence, by shifts that are not 0.
  std::shared_ptr<Backbone> MakeWithFlags(const DatasetInfo& info, uint64_t seed = 1,
                                          Dropout dropout = Dropout::kAsGiven) const;

  // Fails the test and returns empty tensors if the model does.
  static Prediction Predict(Backbone& model, const Batch& batch);

  const DatasetInfo info_ = SuiteInfo();
};

}  // namespace cmerc::conformance

#endif  // CMERC_TESTS_CONFORMANCE_BACKBONE_FIXTURE_H_
