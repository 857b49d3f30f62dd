// What the steps of DialogueRNN's recurrence work on: one direction of a run, its states and their
// gradients. Rows are positions of the plan unless they are said to be listeners.
//
// Letters as in dialogue_recurrence.h, and L listeners in all.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_STEPS_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_STEPS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backbones/dialogue_rnn/dialogue_plan.h"
#include "backbones/dialogue_rnn/dialogue_weights.h"
#include "backbones/dialogue_rnn/gru_rows.h"
#include "torch/types.h"

namespace cmerc::dialogue_rnn {

using Block = DialoguePlan::Block;
using Ranks = DialoguePlan::Ranks;

// The widths of states, and where the columns of `inputs` begin.
struct Widths {
  explicit Widths(const DialogueWeights& weights);

  // In each direction the columns of g_cell come first, and the others begin here.
  int64_t party_column() const { return 3 * global; }
  int64_t listener_column() const { return 3 * (global + party); }
  int64_t query_column() const { return 3 * global + (listeners ? 6 : 3) * party; }
  int64_t columns() const { return query_column() + global; }

  bool listeners;   // whether there are listener states
  int64_t global;   // G
  int64_t party;    // P
  int64_t emotion;  // E
};

// One direction of a run; the rest is the same for all.
struct Direction {
  const DialoguePlan::Direction& order() const { return plan.directions[number]; }

  // The columns of the utterance at this position, in the inputs or in their gradient.
  template <typename T>
  T* Columns(const torch::Tensor& inputs, int64_t position) const {
    return RowOf<T>(inputs, order().row[position]) + number * widths.columns();
  }

  const DialoguePlan& plan;
  const Widths& widths;
  const std::vector<torch::Tensor>& contexts;  // DialogueRows::contexts
  int64_t number;                              // 0 forward, 1 backward
  // No product of a step is over more rows or fewer because of who speaks later on.
  bool by_rows;
};

// A step of some conversations.
struct Step {
  Step(const DialoguePlan& plan, const Ranks& part, int64_t number)
      : number(number), part(part), block(plan.PositionsAt(number, part)) {}

  int64_t number;
  Ranks part;
  Block block;  // the positions of those that are still running
};

// The factors of dropout of a direction's states, as GruRows wants them.
struct DirectionMasks {
  torch::Tensor global, party, emotion;
};

// Draws them where the probability `dropout` is not 0. Copies (backbones/layers/copies.h) have
// those that the first one has alone.
DirectionMasks DrawMasks(const Direction& direction, const torch::TensorOptions& options,
                         double dropout);

// What the forward pass of a direction computes, and what the backward pass needs of it.
struct DirectionStates {
  // `keep`: there will be a backward pass.
  DirectionStates(const Direction& direction, const torch::TensorOptions& options,
                  const DirectionMasks& masks, bool keep);

  GruRows global;
  GruRows party;  // N rows of speakers, then L rows of listeners
  GruRows emotion;
  torch::Tensor speaker_before;   // [N, P], the speaker's state before its step
  torch::Tensor listener_before;  // [L, P]
  torch::Tensor gathered;         // [N, G], what attention gathers
  torch::Tensor alpha;  // [plan.num_past], the weights of attention, 0 outside the context;
                        // undefined unless they are kept
};

// The gradients of a direction: of its states, and of what enters the cells.
struct DirectionGradients {
  DirectionGradients(const Direction& direction, const DirectionStates& states);

  // The first three are gradients of states; after its step, a row holds what went on to the state
  // before directly.
  torch::Tensor global;           // [N, G]
  torch::Tensor party;            // [N + L, P]
  torch::Tensor emotion;          // [N, E]
  torch::Tensor global_sums;      // [N, 3 G], of products with global_hidden
  torch::Tensor speaker_sums;     // [N, 3 G + 3 P], of products with SpeakerWeight()
  torch::Tensor party_inputs;     // [N, 3 P], of what enters p_cell
  torch::Tensor emotion_inputs;   // [N, 3 E], of what enters e_cell
  torch::Tensor emotion_sums;     // [N, 3 E], of products with emotion_hidden
  torch::Tensor listener_inputs;  // [N, 3 P], of what enters l_cell, summed over the listeners
  torch::Tensor listener_sums;    // [L, 3 P], of products with listener_hidden
};

// [3 G + 3 P, P]: all that the speaker's state is multiplied with.
torch::Tensor SpeakerWeight(const DialogueWeights& weights);

// The rows of a block.
inline torch::Tensor Rows(const Block& block, const torch::Tensor& all) {
  return all.narrow(0, block.first, block.count);
}

// The positions of the same conversations one step before; there is none before the first step.
Block BlockBefore(const DialoguePlan& plan, const Step& step);

// The rows of BlockBefore(); for the first step, the rows of `first`.
torch::Tensor RowsBefore(const DialoguePlan& plan, const Step& step, const torch::Tensor& all,
                         const torch::Tensor& first);

// to[k] = from[sources[k]], or zero where that is -1, for the rows k of the block.
template <typename T>
void Gather(const torch::Tensor& from, const std::vector<int64_t>& sources, const Block& block,
            const torch::Tensor& to) {
  const int64_t size = from.size(1);
  for (int64_t k = block.first; k < block.first + block.count; ++k) {
    if (sources[k] < 0) {
      std::fill_n(RowOf<T>(to, k), size, T(0));
    } else {
      std::copy_n(RowOf<T>(from, sources[k]), size, RowOf<T>(to, k));
    }
  }
}

}  // namespace cmerc::dialogue_rnn

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_STEPS_H_
