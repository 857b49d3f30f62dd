// DialogueRNN (Majumder et al., "DialogueRNN: An Attentive RNN for Emotion Detection in
// Conversations", AAAI 2019), as the official code has it: declare-lab/conv-emotion,
// DialogueRNN/model.py, class BiModel.
//
//   U = the modalities side by side, each the mean of its streams       [N, sum of D_m]
//   E = the emotion states of dialogue_recurrence.h, both directions    [N, 2 emotion_width]
//         forwards only with data.context: PAST                         [N, emotion_width]
//   P_i = sum_j alpha_ij E_j, alpha_ij = softmax over the context of (transform E_i) . E_j
//         E_i itself if final_attention is false
//   features = ReLU(linear(P))                                          [N, 2 linear_width]
//   log_probs = log_softmax(smax_fc(Dropout(features)))                 [N, C]
//
// Example:
//   backbone { [type.googleapis.com/cmerc.DialogueRnnOptions] { listener_state: true } }
//
// Batch.context restricts both attentions: j outside the context of i has no direct path to i. The
// states of the conversation and of the parties are handed on from utterance to utterance whatever
// the context ("partial"). Where utterances draw on the past alone (data.context: PAST) there is no
// backward direction: that is the paper's DialogueRNN, the other its BiDialogueRNN.
//
// Parameters have the official names.
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/rnn.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backbones/dialogue_rnn/dialogue_recurrence.h"
#include "backbones/dialogue_rnn/dialogue_rnn.pb.h"
#include "backbones/layers/copies.h"
#include "backbones/layers/dropout.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/mean_of_streams.h"
#include "backbones/layers/memo.h"
#include "backbones/layers/packing.h"
#include "backbones/layers/past_context.h"
#include "backbones/layers/row_blocks.h"
#include "core/backbone.h"
#include "core/torch_status.h"

namespace cmerc {
namespace {

using torch::Tensor;

// One direction's cells; the official DialogueRNNCell.
class Cells : public torch::nn::Module {
 public:
  // `inputs` is the width of an utterance's features.
  Cells(const DialogueRnnOptions& options, int64_t inputs) : inputs_(inputs) {
    const int64_t global = options.global_width();
    const int64_t party = options.party_width();
    const auto add = [&](const char* name, int64_t from, int64_t to) {
      return register_module(name, torch::nn::GRUCell(from, to));
    };
    // In the official order, so that the same seed draws the official weights.
    global_ = add("g_cell", inputs + party, global);
    party_ = add("p_cell", inputs + global, party);
    emotion_ = add("e_cell", party, options.emotion_width());
    if (options.listener_state()) listener_ = add("l_cell", inputs + party, party);
    auto attention = register_module("attention", std::make_shared<torch::nn::Module>());
    if (options.context_attention() == DialogueRnnOptions::SIMPLE) {
      scalar_ = attention->register_module(
          "scalar", torch::nn::Linear(torch::nn::LinearOptions(global, 1).bias(false)));
    } else {
      const bool bias = options.context_attention() == DialogueRnnOptions::GENERAL2;
      transform_ = attention->register_module(
          "transform", torch::nn::Linear(torch::nn::LinearOptions(inputs, global).bias(bias)));
    }
  }

  // All that multiplies an utterance's features: a linear layer that makes the columns of
  // dialogue_recurrence.h, without the query of SIMPLE, which does not depend on them.
  struct InputLayer {
    Tensor weight;  // [columns, inputs]
    Tensor bias;    // [columns]
  };
  InputLayer input_layer() const {
    std::vector<Tensor> weights, biases;
    for (const torch::nn::GRUCell& cell : {global_, party_, listener_}) {
      if (!cell) continue;
      weights.push_back(cell->weight_ih.narrow(1, 0, inputs_));
      biases.push_back(cell->bias_ih);
    }
    if (transform_) {
      weights.push_back(transform_->weight);
      biases.push_back(transform_->bias.defined()
                           ? transform_->bias
                           : torch::zeros({transform_->weight.size(0)},
                                          transform_->weight.options().requires_grad(false)));
    }
    return {torch::cat(weights), torch::cat(biases)};
  }

  // [1, global_width], for SIMPLE; else undefined.
  Tensor query() const { return scalar_ ? scalar_->weight : Tensor(); }

  DialogueWeights state_weights() const {
    const auto of_state = [&](const torch::nn::GRUCell& cell) {
      return cell->weight_ih.narrow(1, inputs_, cell->weight_ih.size(1) - inputs_);
    };
    DialogueWeights weights;
    weights.global_party = of_state(global_);
    weights.global_hidden = global_->weight_hh;
    weights.global_bias = global_->bias_hh;
    weights.party_context = of_state(party_);
    weights.party_hidden = party_->weight_hh;
    weights.party_bias = party_->bias_hh;
    weights.emotion_party = emotion_->weight_ih;
    weights.emotion_input = emotion_->bias_ih;
    weights.emotion_hidden = emotion_->weight_hh;
    weights.emotion_bias = emotion_->bias_hh;
    if (listener_) {
      weights.listener_speaker = of_state(listener_);
      weights.listener_hidden = listener_->weight_hh;
      weights.listener_bias = listener_->bias_hh;
    }
    return weights;
  }

 private:
  const int64_t inputs_;
  torch::nn::GRUCell global_ = nullptr;
  torch::nn::GRUCell party_ = nullptr;
  torch::nn::GRUCell emotion_ = nullptr;
  torch::nn::GRUCell listener_ = nullptr;  // null without listener states
  torch::nn::Linear scalar_ = nullptr;     // SIMPLE
  torch::nn::Linear transform_ = nullptr;  // GENERAL, GENERAL2
};

class DialogueRnn final : public Backbone {
 public:
  static absl::StatusOr<std::unique_ptr<Backbone>> Create(const DialogueRnnOptions& options,
                                                          const DatasetInfo& info) {
    if (info.modalities.empty()) {
      return absl::InvalidArgumentError("cmerc.DialogueRnnOptions: the data has no modality");
    }
    return CatchTorch([&] { return std::unique_ptr<Backbone>(new DialogueRnn(options, info)); });
  }

 private:
  DialogueRnn(const DialogueRnnOptions& options, const DatasetInfo& data)
      : Backbone(data), options_(options) {
    const int64_t width = WidthSideBySide(info());
    std::vector<const char*> names = {"dialog_rnn_f"};
    if (!DrawsOnPastAlone(info())) names.push_back("dialog_rnn_r");
    for (const char* name : names) {
      auto direction = register_module(name, std::make_shared<torch::nn::Module>());
      cells_.push_back(
          direction->register_module("dialogue_cell", std::make_shared<Cells>(options, width)));
    }
    const int64_t emotion = num_directions() * options.emotion_width();
    const int64_t hidden = int64_t{2} * options.linear_width();
    linear_ = register_module("linear", torch::nn::Linear(emotion, hidden));
    head_ = register_module("smax_fc", torch::nn::Linear(hidden, info().num_classes()));
    if (options.final_attention()) {
      auto attention = register_module("matchatt", std::make_shared<torch::nn::Module>());
      transform_ = attention->register_module("transform", torch::nn::Linear(emotion, emotion));
    }
  }

  int64_t num_directions() const { return static_cast<int64_t>(cells_.size()); }

  Prediction ForwardImpl(const Batch& batch) override {
    return ForwardTogether(absl::MakeConstSpan(&batch, 1))[0];
  }

  std::optional<Prediction> ForwardPairedImpl(absl::Span<const Batch> batches) override {
    const CopiesInPass copies(batches.size());
    const Packing packing(batches[0]);
    const Cells::InputLayer layer = InputLayer();
    Tensor inputs;
    int64_t start = 0;
    for (size_t m = 0; m < info().modalities.size(); ++m) {
      const Versions versions = Versions::OfModality(batches, static_cast<int64_t>(m));
      const int64_t width = info().modalities[m].width;
      const Tensor products = versions.ToCopies(versions.MapRows(
          static_cast<int64_t>(m), packing, DrawsOnPastAlone(info()), [&](const Tensor& rows) {
            return torch::linear(rows, layer.weight.narrow(1, start, width),
                                 m == 0 ? layer.bias : Tensor());
          }));
      inputs = m == 0 ? products : inputs + products;
      start += width;
    }
    const Batch all = JoinWithoutFeatures(batches);
    const Packing of_all(all);
    std::vector<Tensor> contexts;
    AddContexts(all, contexts);
    const Tensor emotions =
        Emotions(inputs, {all.lengths, of_all.Pack(all.speakers), std::move(contexts)});
    return Classify(emotions, all.context, of_all);
  }

  std::vector<Prediction> ForwardAllImpl(absl::Span<const Batch> batches) override {
    if (!is_training()) return ForwardTogether(batches);
    // Each pass has dropout masks of its own.
    std::vector<Prediction> predictions;
    for (const Batch& batch : batches) predictions.push_back(ForwardImpl(batch));
    return predictions;
  }

  // The recurrence costs little more for many conversations than for a few: all batches go through
  // it side by side, and what multiplies the same features is computed once.
  std::vector<Prediction> ForwardTogether(absl::Span<const Batch> batches) {
    if (batches.empty()) return {};
    BatchMemo<Packing> packings;
    BatchMemo<Tensor> products;
    const Cells::InputLayer layer = InputLayer();
    std::vector<const Packing*> packing_of;
    std::vector<Tensor> inputs, lengths, speakers;
    std::vector<Tensor> contexts;  // of conversations
    for (const Batch& batch : batches) {
      const Packing& packing = packings.OfUtterances(batch, [&] { return Packing(batch); });
      packing_of.push_back(&packing);
      inputs.push_back(Inputs(batch, packing, layer, products));
      lengths.push_back(batch.lengths);
      speakers.push_back(packing.Pack(batch.speakers));
      AddContexts(batch, contexts);
    }
    const Tensor emotions =
        Emotions(torch::cat(inputs), {torch::cat(lengths), torch::cat(speakers), contexts});
    std::vector<Prediction> predictions;
    int64_t start = 0;
    for (size_t i = 0; i < batches.size(); ++i) {
      const int64_t count = packing_of[i]->num_utterances();
      predictions.push_back(
          Classify(emotions.narrow(0, start, count), batches[i].context, *packing_of[i]));
      start += count;
    }
    return predictions;
  }

  // Appends the context of each conversation.
  static void AddContexts(const Batch& batch, std::vector<Tensor>& contexts) {
    const Tensor context = batch.context.cpu();
    for (int64_t b = 0; b < batch.num_conversations(); ++b) {
      const int64_t length = batch.lengths[b].item<int64_t>();
      contexts.push_back(context[b].narrow(0, 0, length).narrow(1, 0, length));
    }
  }

  // inputs [N, columns of all directions] -> [N, D emotion_width].
  Tensor Emotions(const Tensor& inputs, const DialogueRows& rows) const {
    std::vector<DialogueWeights> weights;
    for (const auto& cells : cells_) weights.push_back(cells->state_weights());
    return Dropout(RunDialogueRecurrence(WithQueries(inputs), weights, rows,
                                         is_training() ? options_.recurrent_dropout() : 0),
                   options_.emotion_dropout(), is_training());
  }

  // Returns the input layers of all directions, the columns of one after those of the other.
  Cells::InputLayer InputLayer() const {
    std::vector<Tensor> weights, biases;
    for (const auto& cells : cells_) {
      const Cells::InputLayer layer = cells->input_layer();
      weights.push_back(layer.weight);
      biases.push_back(layer.bias);
    }
    return {torch::cat(weights), torch::cat(biases)};
  }

  // Returns what the input layer makes of the utterances, [N, columns of all directions].
  static Tensor Inputs(const Batch& batch, const Packing& packing, const Cells::InputLayer& layer,
                       BatchMemo<Tensor>& products) {
    Tensor sum;
    int64_t start = 0;
    for (size_t m = 0; m < batch.modalities.size(); ++m) {
      const std::vector<Tensor>& streams = batch.modalities[m].streams;
      const int64_t width = streams[0].size(2);
      const Tensor& product = products.OfModality(batch, static_cast<int64_t>(m), [&] {
        return torch::linear(packing.Pack(MeanOfStreams(streams)),
                             layer.weight.narrow(1, start, width), m == 0 ? layer.bias : Tensor());
      });
      sum = m == 0 ? product : sum + product;
      start += width;
    }
    return sum;
  }

  // inputs [N, columns of all directions] -> [N, D, columns], with the queries of SIMPLE.
  Tensor WithQueries(const Tensor& inputs) const {
    Tensor columns = inputs.view({inputs.size(0), num_directions(), -1});
    if (options_.context_attention() != DialogueRnnOptions::SIMPLE) return columns;
    std::vector<Tensor> queries;
    for (const auto& cells : cells_) queries.push_back(cells->query());
    return torch::cat({columns, torch::cat(queries).expand({columns.size(0), -1, -1})}, 2);
  }

  // emotions [N, D emotion_width], context [B, T, T].
  Prediction Classify(const Tensor& emotions, const Tensor& context, const Packing& packing) {
    Tensor rows = emotions;
    if (transform_) {
      const Tensor memory = packing.Pad(emotions);
      const Tensor queries = transform_->forward(memory);
      const RowBlocks blocks(memory.size(1), memory.size(0) * memory.size(1));
      rows = packing.Pack(blocks.Gather(1, [&](int64_t first, int64_t count) {
        const Tensor scores = Float32(RowsOf(queries, 1, first, count).bmm(memory.transpose(1, 2)));
        // Not minus infinity: a row without context (padding) must not become a NaN.
        return scores
            .masked_fill(RowsOf(context, 1, first, count).logical_not(),
                         std::numeric_limits<float>::lowest())
            .softmax(2)
            .bmm(memory);
      }));
    }
    const Tensor features = torch::relu(linear_->forward(rows));
    const Tensor dropped = Dropout(features, options_.dropout(), is_training());
    return {torch::log_softmax(Float32(head_->forward(dropped)), 1), features};
  }

  const DialogueRnnOptions options_;
  std::vector<std::shared_ptr<Cells>> cells_;  // forward, and backward unless the past alone counts
  torch::nn::Linear linear_ = nullptr;
  torch::nn::Linear head_ = nullptr;
  torch::nn::Linear transform_ = nullptr;  // null without final attention
};

const Registered<DialogueRnnOptions> kRegistered(Backbones(), DialogueRnn::Create);

}  // namespace
}  // namespace cmerc
