#include "backbones/dialogue_rnn/dialogue_weights.h"

namespace cmerc::dialogue_rnn {
namespace {

using torch::Tensor;

// The weights of listener states, which may be undefined, come last.
constexpr Tensor DialogueWeights::*kFields[] = {
    &DialogueWeights::global_party,     &DialogueWeights::global_hidden,
    &DialogueWeights::global_bias,      &DialogueWeights::party_context,
    &DialogueWeights::party_hidden,     &DialogueWeights::party_bias,
    &DialogueWeights::emotion_party,    &DialogueWeights::emotion_input,
    &DialogueWeights::emotion_hidden,   &DialogueWeights::emotion_bias,
    &DialogueWeights::listener_speaker, &DialogueWeights::listener_hidden,
    &DialogueWeights::listener_bias};

}  // namespace

Widths::Widths(const DialogueWeights& weights)
    : listeners(weights.listener_bias.defined()),
      global(weights.global_hidden.size(1)),
      party(weights.party_hidden.size(1)),
      emotion(weights.emotion_hidden.size(1)) {}

std::vector<Tensor> Flatten(const DialogueWeights& weights) {
  std::vector<Tensor> all;
  for (const auto field : kFields) {
    if ((weights.*field).defined()) all.push_back((weights.*field).contiguous());
  }
  return all;
}

DialogueWeights Unflatten(torch::TensorList all, int64_t d) {
  const torch::TensorList own = all.slice(d * (all.size() / 2), all.size() / 2);
  DialogueWeights weights;
  size_t next = 0;
  for (const auto field : kFields) {
    if (next < own.size()) weights.*field = own[next++];
  }
  return weights;
}

DialogueWeights OnCpu(DialogueWeights weights) {
  for (const auto field : kFields) {
    if ((weights.*field).defined()) weights.*field = (weights.*field).cpu();
  }
  return weights;
}

}  // namespace cmerc::dialogue_rnn
