#include "backbones/dialogue_rnn/dialogue_recurrence.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "backbones/dialogue_rnn/dialogue_passes.h"
#include "backbones/dialogue_rnn/dialogue_plan.h"
#include "backbones/dialogue_rnn/dialogue_steps.h"
#include "backbones/layers/float32.h"

namespace cmerc {
namespace dialogue_rnn {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The weights of listener states, which may be undefined, come last.
constexpr Tensor DialogueWeights::*kFields[] = {
    &DialogueWeights::global_party,     &DialogueWeights::global_hidden,
    &DialogueWeights::global_bias,      &DialogueWeights::party_context,
    &DialogueWeights::party_hidden,     &DialogueWeights::party_bias,
    &DialogueWeights::emotion_party,    &DialogueWeights::emotion_input,
    &DialogueWeights::emotion_hidden,   &DialogueWeights::emotion_bias,
    &DialogueWeights::listener_speaker, &DialogueWeights::listener_hidden,
    &DialogueWeights::listener_bias};

// Returns the defined tensors of these weights in the order of their declaration, contiguous.
variable_list Flatten(const DialogueWeights& weights) {
  variable_list all;
  for (const auto field : kFields) {
    if ((weights.*field).defined()) all.push_back((weights.*field).contiguous());
  }
  return all;
}

// Returns the weights of each direction, where `all` is what Flatten() returned for one after the
// other.
std::vector<DialogueWeights> Unflatten(torch::TensorList all, int64_t directions) {
  std::vector<DialogueWeights> result(directions);
  const size_t each = all.size() / directions;
  for (int64_t d = 0; d < directions; ++d) {
    const torch::TensorList own = all.slice(d * each, each);
    size_t next = 0;
    for (const auto field : kFields) {
      if (next < own.size()) result[d].*field = own[next++];
    }
  }
  return result;
}

DialogueWeights OnCpu(DialogueWeights weights) {
  for (const auto field : kFields) {
    if ((weights.*field).defined()) weights.*field = (weights.*field).cpu();
  }
  return weights;
}

absl::Span<const int64_t> Numbers(const Tensor& tensor) {
  return {tensor.data_ptr<int64_t>(), static_cast<size_t>(tensor.size(0))};
}

// A run over some conversations: its forward pass, and what that leaves for its backward pass.
class Recurrence final : public torch::CustomClassHolder {
 public:
  // Draws the masks of dropout. `keep`: there will be a backward pass. The weights are those of any
  // direction, for their widths.
  Recurrence(const Tensor& inputs, const DialogueWeights& weights, int64_t directions,
             const DialogueRows& rows, double dropout, bool keep)
      : widths_(weights),
        contexts_(rows.contexts),
        plan_(Numbers(rows.lengths), Numbers(rows.speakers), widths_.listeners) {
    const auto options = inputs.options().requires_grad(false);
    const bool by_rows = directions == 1 && !keep;
    for (int64_t d = 0; d < directions; ++d) {
      directions_.push_back({plan_, widths_, contexts_, d, by_rows});
      states_.emplace_back(directions_[d], options, DrawMasks(directions_[d], options, dropout),
                           keep);
    }
  }

  int64_t columns() const { return widths_.columns(); }  // of `inputs`, in each direction

  // inputs [N, D, columns], contiguous -> [N, D E].
  template <typename T>
  Tensor Forward(const Tensor& inputs, const std::vector<DialogueWeights>& weights) {
    ForEachPart([&](int64_t d, const Ranks& part) {
      StatesForward<T>(directions_[d], part, inputs, weights[d], states_[d]);
    });
    std::vector<Tensor> emotion_inputs;
    for (int64_t d = 0; d < num_directions(); ++d) {
      emotion_inputs.push_back(SpeakerStates(d).mm(weights[d].emotion_party.t()));
    }
    ForEachPart([&](int64_t d, const Ranks& part) {
      EmotionsForward<T>(directions_[d], part, emotion_inputs[d], weights[d], states_[d]);
    });
    Tensor result = torch::empty({plan_.num_positions(), num_directions() * widths_.emotion},
                                 states_[0].gathered.options());
    for (int64_t d = 0; d < num_directions(); ++d) {
      for (int64_t position = 0; position < plan_.num_positions(); ++position) {
        std::copy_n(RowOf<T>(states_[d].emotion.states(), position), widths_.emotion,
                    EmotionOf<T>(result, d, position));
      }
    }
    return result;
  }

  // d_result [N, D E], contiguous -> the gradients of the inputs and of the weights.
  template <typename T>
  variable_list Backward(const Tensor& inputs, const std::vector<DialogueWeights>& weights,
                         const Tensor& d_result) const {
    const Tensor d_inputs = torch::empty_like(inputs);
    std::vector<DirectionGradients> gradients;
    for (int64_t d = 0; d < num_directions(); ++d) {
      gradients.emplace_back(directions_[d], states_[d]);
      for (int64_t position = 0; position < plan_.num_positions(); ++position) {
        std::copy_n(EmotionOf<T>(d_result, d, position), widths_.emotion,
                    RowOf<T>(gradients[d].emotion, position));
      }
    }
    ForEachPart([&](int64_t d, const Ranks& part) {
      EmotionsBackward<T>(directions_[d], part, weights[d], states_[d], gradients[d]);
    });
    for (int64_t d = 0; d < num_directions(); ++d) {
      Tensor d_speakers = gradients[d].party.narrow(0, 0, plan_.num_positions());
      at::mm_out(d_speakers, gradients[d].emotion_inputs, weights[d].emotion_party);
    }
    ForEachPart([&](int64_t d, const Ranks& part) {
      StatesBackward<T>(directions_[d], part, inputs, weights[d], states_[d], gradients[d],
                        d_inputs);
    });
    variable_list result = {d_inputs};
    for (int64_t d = 0; d < num_directions(); ++d) {
      const variable_list of_weights = Flatten(WeightGradients(d, gradients[d]));
      result.insert(result.end(), of_weights.begin(), of_weights.end());
    }
    return result;
  }

 private:
  int64_t num_directions() const { return static_cast<int64_t>(directions_.size()); }  // D

  // Calls run(direction, some conversations) for all conversations and directions, in parallel.
  template <typename Run>
  void ForEachPart(const Run& run) const {
    // Below this, a step's products wait for weights more than they compute.
    constexpr int64_t kConversations = 8;
    const auto count = static_cast<int64_t>(plan_.conversations.size());
    const int64_t most = (count + kConversations - 1) / kConversations;
    const int64_t parts = std::clamp<int64_t>(at::get_num_threads() / num_directions(), 1, most);
    at::parallel_for(
        0, num_directions() * parts, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
          const at::AutoDispatchBelowADInplaceOrView no_gradient;  // this thread's
          for (int64_t i = begin; i < end; ++i) {
            const int64_t part = i / num_directions();
            run(i % num_directions(), Ranks{count * part / parts, count * (part + 1) / parts});
          }
        });
  }

  // The emotion state of a direction at this position, in the result or in its gradient.
  template <typename T>
  T* EmotionOf(const Tensor& result, int64_t d, int64_t position) const {
    return RowOf<T>(result, directions_[d].order().row[position]) + d * widths_.emotion;
  }

  // [N, P]: the speakers' states after their step.
  Tensor SpeakerStates(int64_t d) const {
    return states_[d].party.states().narrow(0, 0, plan_.num_positions());
  }

  // [N, W]: the state of the same conversation one step before, or zero.
  Tensor Before(const Tensor& states) const {
    const Ranks all = {0, static_cast<int64_t>(plan_.conversations.size())};
    const Tensor zeros = torch::zeros({all.last, states.size(1)}, states.options());
    Tensor before = torch::empty_like(states);
    for (int64_t number = 0; number < plan_.num_steps(); ++number) {
      const Step step(plan_, all, number);
      Rows(step.block, before).copy_(RowsBefore(plan_, step, states, zeros));
    }
    return before;
  }

  DialogueWeights WeightGradients(int64_t d, const DirectionGradients& gradients) const {
    const DirectionStates& states = states_[d];
    const int64_t global = 3 * widths_.global;
    const int64_t party = 3 * widths_.party;
    const Tensor speakers = SpeakerStates(d);
    const Tensor of_speaker = gradients.speaker_sums.t().mm(states.speaker_before);
    DialogueWeights result;
    result.global_party = of_speaker.narrow(0, 0, global);
    result.global_hidden = gradients.global_sums.t().mm(Before(states.global.states()));
    result.global_bias = gradients.global_sums.sum(0);
    result.party_context = gradients.party_inputs.t().mm(states.gathered);
    result.party_hidden = of_speaker.narrow(0, global, party);
    result.party_bias = gradients.speaker_sums.narrow(1, global, party).sum(0);
    result.emotion_party = gradients.emotion_inputs.t().mm(speakers);
    result.emotion_input = gradients.emotion_inputs.sum(0);
    result.emotion_hidden = gradients.emotion_sums.t().mm(Before(states.emotion.states()));
    result.emotion_bias = gradients.emotion_sums.sum(0);
    if (widths_.listeners) {
      result.listener_speaker = gradients.listener_inputs.t().mm(speakers);
      result.listener_hidden = gradients.listener_sums.t().mm(states.listener_before);
      result.listener_bias = gradients.listener_sums.sum(0);
    }
    return result;
  }

  const Widths widths_;
  const std::vector<Tensor> contexts_;
  const DialoguePlan plan_;
  std::vector<Direction> directions_;
  std::vector<DirectionStates> states_;
};

struct RecurrenceFunction : torch::autograd::Function<RecurrenceFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& inputs, at::TensorList weights,
                        const c10::intrusive_ptr<Recurrence>& recurrence) {
    variable_list saved = {inputs};
    saved.insert(saved.end(), weights.begin(), weights.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["recurrence"] = c10::IValue::make_capsule(recurrence);
    return AT_DISPATCH_FLOATING_TYPES(inputs.scalar_type(), "RunDialogueRecurrence", [&] {
      return recurrence->Forward<scalar_t>(inputs, Unflatten(weights, inputs.size(1)));
    });
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!torch::GradMode::is_enabled(),
                "the gradient of DialogueRNN cannot be differentiated again (create_graph)");
    const variable_list saved = context->get_saved_variables();
    const auto capsule = context->saved_data["recurrence"].toCapsule();
    const auto& recurrence = static_cast<const Recurrence&>(*capsule);
    const std::vector<DialogueWeights> weights =
        Unflatten(at::TensorList(saved).slice(1), saved[0].size(1));
    const Tensor d_result = gradients[0].contiguous();
    variable_list result = AT_DISPATCH_FLOATING_TYPES(
        d_result.scalar_type(), "RunDialogueRecurrence",
        [&] { return recurrence.Backward<scalar_t>(saved[0], weights, d_result); });
    result.emplace_back();  // recurrence
    return result;
  }
};

}  // namespace
}  // namespace dialogue_rnn

torch::Tensor RunDialogueRecurrence(const torch::Tensor& given,
                                    absl::Span<const DialogueWeights> weights,
                                    const DialogueRows& rows, double dropout) {
  using dialogue_rnn::Flatten;
  using dialogue_rnn::OnCpu;
  using dialogue_rnn::Recurrence;
  using dialogue_rnn::RecurrenceFunction;
  const WithoutAutocast float32;
  const torch::Tensor inputs = Float32(given);
  if (!inputs.is_cpu()) {
    std::vector<DialogueWeights> on_cpu;
    for (const DialogueWeights& direction : weights) on_cpu.push_back(OnCpu(direction));
    return RunDialogueRecurrence(inputs.cpu(), on_cpu,
                                 {rows.lengths, rows.speakers.cpu(), rows.contexts}, dropout)
        .to(inputs.device());
  }
  std::vector<torch::Tensor> all;
  for (const DialogueWeights& direction : weights) {
    const std::vector<torch::Tensor> flat = Flatten(direction);
    all.insert(all.end(), flat.begin(), flat.end());
  }
  const DialogueRows contiguous = {rows.lengths.contiguous(), rows.speakers.contiguous(),
                                   rows.contexts};
  const bool keep =
      torch::GradMode::is_enabled() &&
      (inputs.requires_grad() || std::any_of(all.begin(), all.end(), [](const torch::Tensor& one) {
         return one.requires_grad();
       }));
  const auto directions = static_cast<int64_t>(weights.size());
  const auto recurrence =
      c10::make_intrusive<Recurrence>(inputs, weights[0], directions, contiguous, dropout, keep);
  TORCH_CHECK_VALUE(inputs.dim() == 3 && inputs.size(0) == rows.speakers.size(0) &&
                        inputs.size(1) == directions && inputs.size(2) == recurrence->columns(),
                    "inputs have shape ", inputs.sizes(), ", want [", rows.speakers.size(0), ", ",
                    directions, ", ", recurrence->columns(), "] (N, directions, columns)");
  return RecurrenceFunction::apply(inputs.contiguous(), at::TensorList(all), recurrence);
}

}  // namespace cmerc
