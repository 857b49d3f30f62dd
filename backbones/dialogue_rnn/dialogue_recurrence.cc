#include "backbones/dialogue_rnn/dialogue_recurrence.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "backbones/dialogue_rnn/dialogue_plan.h"
#include "backbones/dialogue_rnn/gru_rows.h"
#include "backbones/layers/float32.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kDirections = 2;

// Those of listener states, which may be undefined, come last.
constexpr Tensor DialogueWeights::*kFields[] = {
    &DialogueWeights::global_party,     &DialogueWeights::global_hidden,
    &DialogueWeights::global_bias,      &DialogueWeights::party_context,
    &DialogueWeights::party_hidden,     &DialogueWeights::party_bias,
    &DialogueWeights::emotion_party,    &DialogueWeights::emotion_input,
    &DialogueWeights::emotion_hidden,   &DialogueWeights::emotion_bias,
    &DialogueWeights::listener_speaker, &DialogueWeights::listener_hidden,
    &DialogueWeights::listener_bias};

variable_list Flatten(const DialogueWeights& weights) {
  variable_list all;
  for (const auto field : kFields) {
    if ((weights.*field).defined()) all.push_back((weights.*field).contiguous());
  }
  return all;
}

DialogueWeights OnCpu(DialogueWeights weights) {
  for (const auto field : kFields) {
    if ((weights.*field).defined()) weights.*field = (weights.*field).cpu();
  }
  return weights;
}

DialogueWeights Unflatten(at::TensorList all, int64_t direction) {
  const size_t count = all.size() / kDirections;
  DialogueWeights weights;
  for (size_t k = 0; k < count; ++k) weights.*kFields[k] = all[direction * count + k];
  return weights;
}

template <typename T>
T Dot(const T* a, const T* b, int64_t size) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; ++i) sum += a[i] * b[i];
  return sum;
}

// to += factor * from
template <typename T>
void Add(T factor, const T* from, T* to, int64_t size) {
#pragma omp simd
  for (int64_t i = 0; i < size; ++i) to[i] += factor * from[i];
}

absl::Span<const int64_t> Numbers(const Tensor& tensor) {
  return {tensor.data_ptr<int64_t>(), static_cast<size_t>(tensor.size(0))};
}

// One pass over some conversations.
class Recurrence final : public torch::CustomClassHolder {
 public:
  // Draws the masks of dropout.
  Recurrence(const Tensor& inputs, const DialogueWeights& weights, const DialogueRows& rows,
             double dropout)
      : listeners_(weights.listener_bias.defined()),
        global_(weights.global_hidden.size(1)),
        party_(weights.party_hidden.size(1)),
        emotion_(weights.emotion_hidden.size(1)),
        columns_(3 * global_ + (listeners_ ? 6 : 3) * party_ + global_),
        context_(rows.context),
        plan_(Numbers(rows.lengths), Numbers(rows.speakers), listeners_) {
    const auto options = inputs.options().requires_grad(false);
    for (const DialoguePlan::Direction& direction : plan_.directions) {
      states_.emplace_back(*this, static_cast<int64_t>(direction.listener_source.size()), options,
                           dropout);
    }
  }

  int64_t columns() const { return columns_; }  // of `inputs`, in each direction

  // inputs [N, 2, columns], contiguous -> [N, 2 E].
  template <typename T>
  Tensor Forward(const Tensor& inputs, at::TensorList weights) {
    const int64_t num_rows = plan_.num_positions();
    const DialogueWeights of[] = {Unflatten(weights, 0), Unflatten(weights, 1)};
    ForEachPart([&](int64_t d, const Ranks& part) { AdvanceStates<T>(d, part, inputs, of[d]); });
    Tensor emotion_inputs[kDirections];
    for (int64_t d = 0; d < kDirections; ++d) {
      emotion_inputs[d] =
          states_[d].party.states.narrow(0, 0, num_rows).mm(of[d].emotion_party.t());
    }
    ForEachPart([&](int64_t d, const Ranks& part) {
      AdvanceEmotions<T>(d, part, emotion_inputs[d], of[d]);
    });
    Tensor result = torch::empty({num_rows, kDirections * emotion_}, options());
    for (int64_t d = 0; d < kDirections; ++d) {
      for (int64_t position = 0; position < num_rows; ++position) {
        std::copy_n(RowOf<T>(states_[d].emotion.states, position), emotion_,
                    RowOf<T>(result, plan_.directions[d].row[position]) + d * emotion_);
      }
    }
    return result;
  }

  // d_result [N, 2 E], contiguous -> the gradients of the inputs and of the weights.
  template <typename T>
  variable_list Backward(const Tensor& inputs, at::TensorList weights,
                         const Tensor& d_result) const {
    const int64_t num_rows = plan_.num_positions();
    const DialogueWeights of[] = {Unflatten(weights, 0), Unflatten(weights, 1)};
    const Tensor d_inputs = torch::empty_like(inputs);
    std::vector<Gradients> gradients;
    for (int64_t d = 0; d < kDirections; ++d) {
      gradients.emplace_back(*this, states_[d]);
      for (int64_t position = 0; position < num_rows; ++position) {
        std::copy_n(RowOf<T>(d_result, plan_.directions[d].row[position]) + d * emotion_, emotion_,
                    RowOf<T>(gradients[d].emotion, position));
      }
    }
    ForEachPart(
        [&](int64_t d, const Ranks& part) { RetreatEmotions<T>(d, part, of[d], gradients[d]); });
    for (int64_t d = 0; d < kDirections; ++d) {
      Tensor d_speakers = gradients[d].party.narrow(0, 0, num_rows);
      at::mm_out(d_speakers, gradients[d].emotion_inputs, of[d].emotion_party);
    }
    ForEachPart([&](int64_t d, const Ranks& part) {
      RetreatStates<T>(d, part, inputs, of[d], gradients[d], d_inputs);
    });
    variable_list result = {d_inputs};
    for (int64_t d = 0; d < kDirections; ++d) {
      const variable_list of_weights = Flatten(WeightGradients(states_[d], gradients[d]));
      result.insert(result.end(), of_weights.begin(), of_weights.end());
    }
    return result;
  }

 private:
  using Block = DialoguePlan::Block;
  using Ranks = DialoguePlan::Ranks;

  // Of one direction; rows are positions.
  struct States {
    States(const Recurrence& recurrence, int64_t num_listeners, const torch::TensorOptions& options,
           double dropout)
        : global(recurrence.plan_.num_positions(), recurrence.global_, options, dropout),
          party(recurrence.plan_.num_positions() + num_listeners, recurrence.party_, options,
                dropout),
          emotion(recurrence.plan_.num_positions(), recurrence.emotion_, options, dropout),
          speaker_before(torch::empty({global.states.size(0), recurrence.party_}, options)),
          listener_before(torch::empty({num_listeners, recurrence.party_}, options)),
          gathered(torch::empty({global.states.size(0), recurrence.global_}, options)),
          alpha(torch::empty({recurrence.plan_.num_past}, options)) {}

    GruRows global;
    GruRows party;  // rows of speakers, then rows of listeners
    GruRows emotion;
    Tensor speaker_before;   // [N, P]
    Tensor listener_before;  // [number of listeners, P]
    Tensor gathered;         // [N, G], c
    Tensor alpha;            // of all positions, 0 outside the context
  };

  // Of one direction.
  struct Gradients {
    Gradients(const Recurrence& recurrence, const States& states)
        : global(torch::zeros_like(states.global.states)),
          party(torch::zeros_like(states.party.states)),
          emotion(torch::empty_like(states.emotion.states)) {
      const int64_t num_rows = recurrence.plan_.num_positions();
      const auto empty = [&](int64_t rows, int64_t width) {
        return torch::empty({rows, width}, states.alpha.options());
      };
      global_sums = empty(num_rows, 3 * recurrence.global_);
      speaker_sums = empty(num_rows, 3 * (recurrence.global_ + recurrence.party_));
      party_inputs = empty(num_rows, 3 * recurrence.party_);
      emotion_inputs = empty(num_rows, 3 * recurrence.emotion_);
      emotion_sums = empty(num_rows, 3 * recurrence.emotion_);
      if (!recurrence.listeners_) return;
      listener_inputs = empty(num_rows, 3 * recurrence.party_);
      listener_sums = empty(states.listener_before.size(0), 3 * recurrence.party_);
    }

    Tensor global, party, emotion;  // of states; after their step, what went on to those before
    Tensor global_sums;             // [N, 3 G] of products with global_hidden
    Tensor speaker_sums;            // [N, 3 G + 3 P] of products with SpeakerWeight
    Tensor party_inputs;            // [N, 3 P] of p_cell
    Tensor emotion_inputs;          // [N, 3 E] of e_cell
    Tensor emotion_sums;            // [N, 3 E] of products with emotion_hidden
    Tensor listener_inputs;         // [N, 3 P] of l_cell, summed over the listeners at a position
    Tensor listener_sums;           // [number of listeners, 3 P] of products with listener_hidden
  };

  static Tensor Rows(const Block& block, const Tensor& all) {
    return all.narrow(0, block.first, block.count);
  }

  torch::TensorOptions options() const { return states_[0].gathered.options(); }

  // [3 G + 3 P, P]: all that the speaker's state is multiplied with.
  static Tensor SpeakerWeight(const DialogueWeights& weights) {
    return torch::cat({weights.global_party, weights.party_hidden});
  }

  int64_t NumSteps(const Ranks& part) const { return plan_.conversations[part.first].length; }

  // Calls run(direction, some conversations) for all of both, in parallel.
  template <typename Run>
  void ForEachPart(const Run& run) const {
    // Below this, a step's products wait for weights more than they compute.
    constexpr int64_t kConversations = 8;
    const auto count = static_cast<int64_t>(plan_.conversations.size());
    const int64_t most = (count + kConversations - 1) / kConversations;
    const int64_t parts = std::clamp<int64_t>(at::get_num_threads() / kDirections, 1, most);
    at::parallel_for(0, kDirections * parts, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      const at::AutoDispatchBelowADInplaceOrView no_gradient;  // this thread's
      for (int64_t i = begin; i < end; ++i) {
        const int64_t part = i / kDirections;
        run(i % kDirections, Ranks{count * part / parts, count * (part + 1) / parts});
      }
    });
  }

  // Where the columns of an utterance begin: g_cell, p_cell, l_cell, query.
  template <typename T>
  T* Columns(const Tensor& inputs, int64_t d, int64_t position) const {
    return RowOf<T>(inputs, plan_.directions[d].row[position]) + d * columns_;
  }

  template <typename T>
  void AdvanceStates(int64_t d, const Ranks& part, const Tensor& inputs,
                     const DialogueWeights& weights) {
    const DialoguePlan::Direction& direction = plan_.directions[d];
    States& states = states_[d];
    const Tensor zeros = torch::zeros({part.last - part.first, global_}, options());
    const auto empty = [&](int64_t width) {
      return torch::empty({zeros.size(0), width}, options());
    };
    const Tensor speaker_weight = SpeakerWeight(weights);
    const Tensor all_global_sums = empty(3 * global_);
    const Tensor all_speaker_sums = empty(3 * (global_ + party_));
    const Tensor all_party_sums = empty(3 * party_);
    for (int64_t step = 0; step < NumSteps(part); ++step) {
      const Block block = plan_.PositionsAt(step, part);
      const auto columns = [&](int64_t i) { return Columns<T>(inputs, d, block.first + i); };
      const Tensor global_before = RowsBefore(states.global.states, part, step, block, zeros);
      Gather<T>(states.party.states, direction.source, block.first, block.count,
                states.speaker_before);
      const Tensor speaker_before = Rows(block, states.speaker_before);
      Tensor speaker_sums = all_speaker_sums.narrow(0, 0, block.count);
      at::mm_out(speaker_sums, speaker_before, speaker_weight.t());
      Tensor global_sums = all_global_sums.narrow(0, 0, block.count);
      at::mm_out(global_sums, global_before, weights.global_hidden.t());
      Advance<T>(
          states.global, block.first, block.count, weights.global_bias, columns,
          [&](int64_t i) { return RowOf<T>(speaker_sums, i); }, global_sums, global_before);

      Attend<T>(d, part, step, block, inputs);
      Tensor context_sums = all_party_sums.narrow(0, 0, block.count);
      at::mm_out(context_sums, Rows(block, states.gathered), weights.party_context.t());
      Advance<T>(
          states.party, block.first, block.count, weights.party_bias,
          [&](int64_t i) { return columns(i) + 3 * global_; },
          [&](int64_t i) { return RowOf<T>(context_sums, i); },
          speaker_sums.narrow(1, 3 * global_, 3 * party_), speaker_before);

      const Block listeners = ListenersOf(direction, block);
      if (listeners.count == 0) continue;
      const auto speaker = [&](int64_t i) {
        return direction.listener_position[listeners.first + i] - block.first;
      };
      Tensor listener_inputs = all_party_sums.narrow(0, 0, block.count);
      at::mm_out(listener_inputs, Rows(block, states.party.states), weights.listener_speaker.t());
      Gather<T>(states.party.states, direction.listener_source, listeners.first, listeners.count,
                states.listener_before);
      const Tensor listener_before = Rows(listeners, states.listener_before);
      Advance<T>(
          states.party, plan_.num_positions() + listeners.first, listeners.count,
          weights.listener_bias,
          [&](int64_t i) { return columns(speaker(i)) + 3 * (global_ + party_); },
          [&](int64_t i) { return RowOf<T>(listener_inputs, speaker(i)); },
          listener_before.mm(weights.listener_hidden.t()), listener_before);
    }
  }

  template <typename T>
  void AdvanceEmotions(int64_t d, const Ranks& part, const Tensor& inputs,
                       const DialogueWeights& weights) {
    GruRows& cell = states_[d].emotion;
    const Tensor zeros = torch::zeros({part.last - part.first, emotion_}, options());
    const Tensor all_sums = torch::empty({zeros.size(0), 3 * emotion_}, options());
    for (int64_t step = 0; step < NumSteps(part); ++step) {
      const Block block = plan_.PositionsAt(step, part);
      const Tensor before = RowsBefore(cell.states, part, step, block, zeros);
      Tensor sums = all_sums.narrow(0, 0, block.count);
      at::mm_out(sums, before, weights.emotion_hidden.t());
      Advance<T>(
          cell, block.first, block.count, weights.emotion_bias,
          [&](int64_t i) { return RowOf<T>(inputs, block.first + i); },
          [&](int64_t) { return weights.emotion_input.data_ptr<T>(); }, sums, before);
    }
  }

  template <typename T>
  void RetreatEmotions(int64_t d, const Ranks& part, const DialogueWeights& weights,
                       Gradients& gradients) const {
    const GruRows& cell = states_[d].emotion;
    const Tensor zeros = torch::zeros({part.last - part.first, emotion_}, options());
    for (int64_t step = NumSteps(part) - 1; step >= 0; --step) {
      const Block block = plan_.PositionsAt(step, part);
      Retreat<T>(
          cell, block.first, block.count, RowsBefore(cell.states, part, step, block, zeros),
          gradients.emotion,
          [&](int64_t i) { return RowOf<T>(gradients.emotion_inputs, block.first + i); },
          [&](int64_t i) { return RowOf<T>(gradients.emotion_sums, block.first + i); });
      if (step == 0) continue;
      RowsBefore(gradients.emotion, part, step, block, zeros)
          .add_(Rows(block, gradients.emotion))
          .addmm_(Rows(block, gradients.emotion_sums), weights.emotion_hidden);
    }
  }

  template <typename T>
  void RetreatStates(int64_t d, const Ranks& part, const Tensor& inputs,
                     const DialogueWeights& weights, Gradients& gradients,
                     const Tensor& d_inputs) const {
    const DialoguePlan::Direction& direction = plan_.directions[d];
    const States& states = states_[d];
    const Tensor zeros = torch::zeros({part.last - part.first, global_}, options());
    const Tensor speaker_weight = SpeakerWeight(weights);
    const Tensor all_d_gathered = torch::empty_like(zeros);
    const Tensor all_d_before = torch::empty({zeros.size(0), party_}, options());
    for (int64_t step = NumSteps(part) - 1; step >= 0; --step) {
      const Block block = plan_.PositionsAt(step, part);
      const auto d_columns = [&](int64_t i) { return Columns<T>(d_inputs, d, block.first + i); };
      if (listeners_) RetreatListeners<T>(d, block, weights, gradients);

      const Tensor speaker_before = Rows(block, states.speaker_before);
      Retreat<T>(
          states.party, block.first, block.count, speaker_before, gradients.party,
          [&](int64_t i) { return RowOf<T>(gradients.party_inputs, block.first + i); },
          [&](int64_t i) {
            return RowOf<T>(gradients.speaker_sums, block.first + i) + 3 * global_;
          });
      Tensor d_gathered = all_d_gathered.narrow(0, 0, block.count);
      at::mm_out(d_gathered, Rows(block, gradients.party_inputs), weights.party_context);
      RetreatAttention<T>(d, part, step, block, inputs, d_gathered, gradients, d_inputs);

      const Tensor global_before = RowsBefore(states.global.states, part, step, block, zeros);
      Retreat<T>(
          states.global, block.first, block.count, global_before, gradients.global,
          [&](int64_t i) { return RowOf<T>(gradients.speaker_sums, block.first + i); },
          [&](int64_t i) { return RowOf<T>(gradients.global_sums, block.first + i); });
      if (step > 0) {
        RowsBefore(gradients.global, part, step, block, zeros)
            .add_(Rows(block, gradients.global))
            .addmm_(Rows(block, gradients.global_sums), weights.global_hidden);
      }
      Tensor d_before = all_d_before.narrow(0, 0, block.count);
      at::mm_out(d_before, Rows(block, gradients.speaker_sums), speaker_weight);
      for (int64_t i = 0; i < block.count; ++i) {
        const int64_t position = block.first + i;
        std::copy_n(RowOf<T>(gradients.speaker_sums, position), 3 * global_, d_columns(i));
        std::copy_n(RowOf<T>(gradients.party_inputs, position), 3 * party_,
                    d_columns(i) + 3 * global_);
        if (listeners_) {
          std::copy_n(RowOf<T>(gradients.listener_inputs, position), 3 * party_,
                      d_columns(i) + 3 * (global_ + party_));
        }
        const int64_t source = direction.source[position];
        if (source < 0) continue;
        Add<T>(1, RowOf<T>(d_before, i), RowOf<T>(gradients.party, source), party_);
        Add<T>(1, RowOf<T>(gradients.party, position), RowOf<T>(gradients.party, source), party_);
      }
    }
  }

  template <typename T>
  void RetreatListeners(int64_t d, const Block& block, const DialogueWeights& weights,
                        Gradients& gradients) const {
    const DialoguePlan::Direction& direction = plan_.directions[d];
    const States& states = states_[d];
    const Block listeners = ListenersOf(direction, block);
    Rows(block, gradients.listener_inputs).zero_();
    if (listeners.count == 0) return;
    const Tensor d_each = torch::empty({listeners.count, 3 * party_}, options());
    const int64_t first_state = plan_.num_positions() + listeners.first;
    Retreat<T>(
        states.party, first_state, listeners.count, Rows(listeners, states.listener_before),
        gradients.party, [&](int64_t i) { return RowOf<T>(d_each, i); },
        [&](int64_t i) { return RowOf<T>(gradients.listener_sums, listeners.first + i); });
    const Tensor d_before = Rows(listeners, gradients.listener_sums).mm(weights.listener_hidden);
    for (int64_t i = 0; i < listeners.count; ++i) {
      const int64_t position = direction.listener_position[listeners.first + i];
      Add<T>(1, RowOf<T>(d_each, i), RowOf<T>(gradients.listener_inputs, position), 3 * party_);
      const int64_t source = direction.listener_source[listeners.first + i];
      if (source < 0) continue;
      Add<T>(1, RowOf<T>(d_before, i), RowOf<T>(gradients.party, source), party_);
      Add<T>(1, RowOf<T>(gradients.party, first_state + i), RowOf<T>(gradients.party, source),
             party_);
    }
    Rows(block, gradients.party)
        .addmm_(Rows(block, gradients.listener_inputs), weights.listener_speaker);
  }

  // Who asks for earlier global states.
  template <typename T>
  struct Query {
    const T* vector;      // [G]
    T* alpha;             // [step] its answers, 0 outside the context
    const bool* context;  // [n] what the utterance may draw on
  };

  template <typename T>
  Query<T> QueryOf(int64_t d, int64_t rank, int64_t position, const Tensor& inputs) const {
    const DialoguePlan::Conversation& conversation = plan_.conversations[rank];
    const int64_t i = plan_.directions[d].row[position] - conversation.first_row;
    return {Columns<T>(inputs, d, position) + columns_ - global_,
            states_[d].alpha.template data_ptr<T>() + plan_.first_past[position],
            context_.data_ptr<bool>() + conversation.first_pair + i * conversation.length};
  }

  template <typename T>
  void Attend(int64_t d, const Ranks& part, int64_t step, const Block& block,
              const Tensor& inputs) {
    constexpr T kNone = -std::numeric_limits<T>::infinity();
    States& states = states_[d];
    for (int64_t i = 0; i < block.count; ++i) {
      const int64_t rank = part.first + i;
      const int64_t first_row = plan_.conversations[rank].first_row;
      const Query<T> query = QueryOf<T>(d, rank, block.first + i, inputs);
      const auto past = [&](int64_t s) { return plan_.first_position[s] + rank; };
      T highest = kNone;
      for (int64_t s = 0; s < step; ++s) {
        const bool allowed = query.context[plan_.directions[d].row[past(s)] - first_row];
        query.alpha[s] =
            allowed ? Dot(query.vector, RowOf<T>(states.global.states, past(s)), global_) : kNone;
        highest = std::max(highest, query.alpha[s]);
      }
      T sum = 0;
      for (int64_t s = 0; s < step; ++s) {
        query.alpha[s] = query.alpha[s] == kNone ? 0 : std::exp(query.alpha[s] - highest);
        sum += query.alpha[s];
      }
      T* const gathered = RowOf<T>(states.gathered, block.first + i);
      std::fill_n(gathered, global_, T(0));
      for (int64_t s = 0; s < step; ++s) {
        if (query.alpha[s] == 0) continue;
        query.alpha[s] /= sum;
        Add(query.alpha[s], RowOf<T>(states.global.states, past(s)), gathered, global_);
      }
    }
  }

  // d_gathered [count, G] -> the gradients of earlier global states and of the queries.
  template <typename T>
  void RetreatAttention(int64_t d, const Ranks& part, int64_t step, const Block& block,
                        const Tensor& inputs, const Tensor& d_gathered, Gradients& gradients,
                        const Tensor& d_inputs) const {
    const Tensor& global = states_[d].global.states;
    std::vector<T> d_alpha(step);
    for (int64_t i = 0; i < block.count; ++i) {
      const int64_t rank = part.first + i;
      const Query<T> query = QueryOf<T>(d, rank, block.first + i, inputs);
      const auto past = [&](int64_t s) { return plan_.first_position[s] + rank; };
      const T* const d_sum = RowOf<T>(d_gathered, i);
      T* const d_query = Columns<T>(d_inputs, d, block.first + i) + columns_ - global_;
      std::fill_n(d_query, global_, T(0));
      T mean = 0;
      for (int64_t s = 0; s < step; ++s) {
        if (query.alpha[s] == 0) continue;
        d_alpha[s] = Dot(d_sum, RowOf<T>(global, past(s)), global_);
        mean += query.alpha[s] * d_alpha[s];
      }
      for (int64_t s = 0; s < step; ++s) {
        if (query.alpha[s] == 0) continue;
        const T d_score = query.alpha[s] * (d_alpha[s] - mean);
        T* const d_global = RowOf<T>(gradients.global, past(s));
        Add<T>(query.alpha[s], d_sum, d_global, global_);
        Add<T>(d_score, query.vector, d_global, global_);
        Add<T>(d_score, RowOf<T>(global, past(s)), d_query, global_);
      }
    }
  }

  static Block ListenersOf(const DialoguePlan::Direction& direction, const Block& block) {
    const int64_t first = direction.first_listener[block.first];
    return {first, direction.first_listener[block.first + block.count] - first};
  }

  // The same conversations' rows one step before those of `block`; `first` before the first step.
  Tensor RowsBefore(const Tensor& all, const Ranks& part, int64_t step, const Block& block,
                    const Tensor& first) const {
    return step == 0 ? first.narrow(0, 0, block.count)
                     : all.narrow(0, plan_.PositionsAt(step - 1, part).first, block.count);
  }

  // [N, W]: the state of the same conversation one step before, or zero.
  Tensor Before(const Tensor& states) const {
    const Ranks all = {0, static_cast<int64_t>(plan_.conversations.size())};
    const Tensor zeros = torch::zeros({all.last, states.size(1)}, options());
    Tensor before = torch::empty_like(states);
    for (int64_t step = 0; step < plan_.num_steps(); ++step) {
      const Block block = plan_.PositionsAt(step, all);
      Rows(block, before).copy_(RowsBefore(states, all, step, block, zeros));
    }
    return before;
  }

  DialogueWeights WeightGradients(const States& states, const Gradients& gradients) const {
    const Tensor speakers = states.party.states.narrow(0, 0, plan_.num_positions());
    const Tensor of_speaker = gradients.speaker_sums.t().mm(states.speaker_before);
    DialogueWeights result;
    result.global_party = of_speaker.narrow(0, 0, 3 * global_);
    result.global_hidden = gradients.global_sums.t().mm(Before(states.global.states));
    result.global_bias = gradients.global_sums.sum(0);
    result.party_context = gradients.party_inputs.t().mm(states.gathered);
    result.party_hidden = of_speaker.narrow(0, 3 * global_, 3 * party_);
    result.party_bias = gradients.speaker_sums.narrow(1, 3 * global_, 3 * party_).sum(0);
    result.emotion_party = gradients.emotion_inputs.t().mm(speakers);
    result.emotion_input = gradients.emotion_inputs.sum(0);
    result.emotion_hidden = gradients.emotion_sums.t().mm(Before(states.emotion.states));
    result.emotion_bias = gradients.emotion_sums.sum(0);
    if (listeners_) {
      result.listener_speaker = gradients.listener_inputs.t().mm(speakers);
      result.listener_hidden = gradients.listener_sums.t().mm(states.listener_before);
      result.listener_bias = gradients.listener_sums.sum(0);
    }
    return result;
  }

  const bool listeners_;
  const int64_t global_, party_, emotion_;  // G, P, E
  const int64_t columns_;
  const Tensor context_;
  const DialoguePlan plan_;
  std::vector<States> states_;
};

struct RecurrenceFunction : torch::autograd::Function<RecurrenceFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& inputs, at::TensorList weights,
                        const c10::intrusive_ptr<Recurrence>& recurrence) {
    variable_list saved = {inputs};
    saved.insert(saved.end(), weights.begin(), weights.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["recurrence"] = c10::IValue::make_capsule(recurrence);
    return AT_DISPATCH_FLOATING_TYPES(inputs.scalar_type(), "RunDialogueRecurrence", [&] {
      return recurrence->Forward<scalar_t>(inputs, weights);
    });
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!torch::GradMode::is_enabled(),
                "the gradient of DialogueRNN cannot be differentiated again (create_graph)");
    const variable_list saved = context->get_saved_variables();
    const auto capsule = context->saved_data["recurrence"].toCapsule();
    const auto& recurrence = static_cast<const Recurrence&>(*capsule);
    const Tensor d_result = gradients[0].contiguous();
    variable_list result =
        AT_DISPATCH_FLOATING_TYPES(d_result.scalar_type(), "RunDialogueRecurrence", [&] {
          return recurrence.Backward<scalar_t>(saved[0], at::TensorList(saved).slice(1), d_result);
        });
    result.emplace_back();  // recurrence
    return result;
  }
};

}  // namespace

Tensor RunDialogueRecurrence(const Tensor& given, const std::array<DialogueWeights, 2>& weights,
                             const DialogueRows& rows, double dropout) {
  const WithoutAutocast float32;
  const Tensor inputs = Float32(given);
  if (!inputs.is_cpu()) {
    return RunDialogueRecurrence(inputs.cpu(), {OnCpu(weights[0]), OnCpu(weights[1])},
                                 {rows.lengths, rows.speakers.cpu(), rows.context.cpu()}, dropout)
        .to(inputs.device());
  }
  variable_list all;
  for (const DialogueWeights& direction : weights) {
    const variable_list flat = Flatten(direction);
    all.insert(all.end(), flat.begin(), flat.end());
  }
  const DialogueRows contiguous = {rows.lengths.contiguous(), rows.speakers.contiguous(),
                                   rows.context.contiguous()};
  const auto recurrence = c10::make_intrusive<Recurrence>(inputs, weights[0], contiguous, dropout);
  TORCH_CHECK_VALUE(inputs.dim() == 3 && inputs.size(0) == rows.speakers.size(0) &&
                        inputs.size(1) == 2 && inputs.size(2) == recurrence->columns(),
                    "inputs have shape ", inputs.sizes(), ", want [", rows.speakers.size(0),
                    ", 2, ", recurrence->columns(), "] (N, directions, columns)");
  return RecurrenceFunction::apply(inputs.contiguous(), at::TensorList(all), recurrence);
}

}  // namespace cmerc
