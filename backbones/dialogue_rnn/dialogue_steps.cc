#include "backbones/dialogue_rnn/dialogue_steps.h"

#include "backbones/layers/copies.h"

namespace cmerc::dialogue_rnn {
namespace {

using torch::Tensor;

int64_t NumListeners(const Direction& direction) {
  return static_cast<int64_t>(direction.order().listener_source.size());
}

}  // namespace

Widths::Widths(const DialogueWeights& weights)
    : listeners(weights.listener_bias.defined()),
      global(weights.global_hidden.size(1)),
      party(weights.party_hidden.size(1)),
      emotion(weights.emotion_hidden.size(1)) {}

DirectionMasks DrawMasks(const Direction& direction, const torch::TensorOptions& options,
                         double dropout) {
  if (dropout == 0) return {};
  const int64_t copies = CopiesInPass::Now();
  Tensor in_first_copy;  // [N + L]
  if (copies > 1) {
    in_first_copy = torch::tensor(direction.plan.StatesInFirstCopy(direction.number, copies));
  }
  const auto draw = [&](int64_t rows, int64_t width) {
    const Tensor mask =
        torch::empty({rows / copies, width}, options).bernoulli_(1 - dropout).div_(1 - dropout);
    return copies == 1 ? mask : mask.index_select(0, in_first_copy.narrow(0, 0, rows));
  };
  const int64_t num_rows = direction.plan.num_positions();
  DirectionMasks masks;
  masks.global = draw(num_rows, direction.widths.global);
  masks.party = draw(num_rows + NumListeners(direction), direction.widths.party);
  masks.emotion = draw(num_rows, direction.widths.emotion);
  return masks;
}

DirectionStates::DirectionStates(const Direction& direction, const torch::TensorOptions& options,
                                 const DirectionMasks& masks, bool keep)
    : global(direction.plan.num_positions(), direction.widths.global, options, masks.global),
      party(direction.plan.num_positions() + NumListeners(direction), direction.widths.party,
            options, masks.party),
      emotion(direction.plan.num_positions(), direction.widths.emotion, options, masks.emotion),
      speaker_before(
          torch::empty({direction.plan.num_positions(), direction.widths.party}, options)),
      listener_before(torch::empty({NumListeners(direction), direction.widths.party}, options)),
      gathered(torch::empty({direction.plan.num_positions(), direction.widths.global}, options)),
      alpha(keep ? torch::empty({direction.plan.num_past}, options) : torch::Tensor()) {}

DirectionGradients::DirectionGradients(const Direction& direction, const DirectionStates& states)
    : global(torch::zeros_like(states.global.states())),
      party(torch::zeros_like(states.party.states())),
      emotion(torch::empty_like(states.emotion.states())) {
  const Widths& widths = direction.widths;
  const int64_t num_rows = direction.plan.num_positions();
  const auto empty = [&](int64_t rows, int64_t width) {
    return torch::empty({rows, width}, states.gathered.options());
  };
  global_sums = empty(num_rows, 3 * widths.global);
  speaker_sums = empty(num_rows, 3 * (widths.global + widths.party));
  party_inputs = empty(num_rows, 3 * widths.party);
  emotion_inputs = empty(num_rows, 3 * widths.emotion);
  emotion_sums = empty(num_rows, 3 * widths.emotion);
  if (!widths.listeners) return;
  listener_inputs = empty(num_rows, 3 * widths.party);
  listener_sums = empty(NumListeners(direction), 3 * widths.party);
}

Tensor SpeakerWeight(const DialogueWeights& weights) {
  return torch::cat({weights.global_party, weights.party_hidden});
}

Block BlockBefore(const DialoguePlan& plan, const Step& step) {
  return {plan.PositionsAt(step.number - 1, step.part).first, step.block.count};
}

Tensor RowsBefore(const DialoguePlan& plan, const Step& step, const Tensor& all,
                  const Tensor& first) {
  return step.number == 0 ? first.narrow(0, 0, step.block.count)
                          : Rows(BlockBefore(plan, step), all);
}

}  // namespace cmerc::dialogue_rnn
