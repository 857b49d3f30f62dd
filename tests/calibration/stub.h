// A backbone, a batch and a dataset so simple that a test can work out every number.
#ifndef CMERC_TESTS_CALIBRATION_STUB_H_
#define CMERC_TESTS_CALIBRATION_STUB_H_

#include <vector>

#include "calibration/prepared_data.h"
#include "core/backbone.h"
#include "core/batch.h"
#include "core/dataset.h"

namespace cmerc {

// Modalities text (two streams) and audio, both 3 wide; 3 classes; 2 speakers.
DatasetInfo StubInfo();

// Utterance i's logits are gain * (text_i + audio_i + 0.5 * sum of text_j over j != i that i may
// draw on), where text is its first stream; Prediction.features are the logits.
class StubBackbone final : public Backbone {
 public:
  explicit StubBackbone(float gain = 1);

  torch::Tensor gain;        // parameter, []
  torch::Tensor steps;       // buffer, [] int64: forward passes in training mode
  std::vector<bool> passes;  // of each forward pass: was it in training mode?

 private:
  Prediction ForwardImpl(const Batch& batch) override;
};

// A conversation of `length` utterances with random features, speakers and labels, drawn from
// LibTorch's generator.
Conversation RandomConversation(const std::string& id, int64_t length);

// Random conversations of these lengths. The speakers of the first are 0, 1, 0, 0, 1, ... .
Batch RandomBatch(const std::vector<int64_t>& lengths, uint64_t seed = 1);

// train: c0 to c3, valid: c4, test: c5 and c6, of 3, 1, 4, 2, 5, 2 and 3 utterances. Not
// standardized.
PreparedData StubData();

}  // namespace cmerc

#endif  // CMERC_TESTS_CALIBRATION_STUB_H_
