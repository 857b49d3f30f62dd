#include "backbones/m3net/shared_passes.h"

#include <algorithm>

#include "backbones/layers/copies.h"
#include "backbones/layers/recurrent.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;

// tensor_of(input) of all inputs, one after the other along `axis`; undefined where they are.
template <typename F>
Tensor JoinTensors(const std::vector<GraphInput>& inputs, int64_t axis, const F& tensor_of) {
  std::vector<Tensor> parts;
  parts.reserve(inputs.size());
  for (const GraphInput& input : inputs) parts.push_back(tensor_of(input));
  return parts[0].defined() ? torch::cat(parts, axis) : Tensor();
}

// The input of one run over the conversations of all inputs.
GraphInput JoinInputs(const std::vector<GraphInput>& inputs) {
  GraphInput all;
  for (size_t k = 0; k < inputs[0].nodes.size(); ++k) {
    all.nodes.push_back(
        {JoinTensors(inputs, 0, [&](const GraphInput& input) { return input.nodes[k].rows; }),
         JoinTensors(inputs, 0,
                     [&](const GraphInput& input) { return input.nodes[k].projected; })});
  }
  all.norms = {
      JoinTensors(inputs, 1, [](const GraphInput& input) { return input.norms.modality; }),
      JoinTensors(inputs, 0, [](const GraphInput& input) { return input.norms.utterance; }),
      JoinTensors(inputs, 1, [](const GraphInput& input) { return input.norms.node; })};
  all.graph = {JoinTensors(inputs, 0, [](const GraphInput& input) { return input.graph.within; }),
               JoinTensors(inputs, 0, [](const GraphInput& input) { return input.graph.between; }),
               Tensor(), Tensor()};
  return all;
}

}  // namespace

const Packing& SharedPasses::PackingOf(const Batch& batch) {
  return packings_.OfUtterances(batch, [&] { return Packing(batch); });
}

const ModalityEncoder::Rows& SharedPasses::RowsOf(int64_t k, const Batch& batch) {
  const int64_t m = encoders_[k].modality();
  return rows_.OfModality(batch, m, [&] {
    return encoders_[k].MakeRows(batch.modalities[m].streams, PackingOf(batch), training_);
  });
}

const ModalityNodes& SharedPasses::NodesOf(int64_t k, const Batch& batch) {
  return nodes_.OfModality(batch, encoders_[k].modality(), [&] {
    const ProfileScope scope("encoders");
    return MakeNodes(k, batch);
  });
}

ModalityNodes SharedPasses::MakeNodes(int64_t k, const Batch& batch) {
  const Packing& packing = PackingOf(batch);
  const Rows& rows = RowsOf(k, batch);
  const Tensor speakers = packing.Pack(batch.speakers);
  ModalityEncoder& encoder = encoders_[k];
  if (encoder.has_encoder()) {
    return graph_model_.MakeNodes(k, encoder.Encode(ModalityEncoder::EncoderInput(rows, packing)),
                                  speakers);
  }
  const DistinctRows& distinct = rows.distinct;
  if (k == 0 || !distinct.input_of().defined()) {
    return graph_model_.MakeNodes(k, distinct.Utterances(rows.values), speakers);
  }
  // Without a speaker, rows that are alike become nodes that are alike.
  const ModalityNodes nodes = graph_model_.MakeNodes(k, rows.values, speakers);
  return {distinct.Utterances(nodes.rows), distinct.Utterances(nodes.projected)};
}

void SharedPasses::MakeRows(const Batch& batch) {
  for (size_t k = 0; k < encoders_.size(); ++k) RowsOf(static_cast<int64_t>(k), batch);
}

std::vector<SharedPasses::Version> SharedPasses::VersionsOf(int64_t k,
                                                            absl::Span<const Batch> batches) {
  std::vector<Version> versions;
  for (const Batch& batch : batches) {
    if (!HaveSameUtterances(batch, batches[0])) continue;
    const Rows* rows = &RowsOf(k, batch);
    if (std::none_of(versions.begin(), versions.end(),
                     [&](const Version& version) { return version.first == rows; })) {
      versions.emplace_back(rows, &batch);
    }
  }
  // The first rows have the products of their inputs where they are needed.
  std::stable_sort(versions.begin(), versions.end(), [](const Version& a, const Version& b) {
    return a.first->values.size(0) > b.first->values.size(0);
  });
  return versions;
}

void SharedPasses::EncodeTogether(absl::Span<const Batch> batches) {
  const ProfileScope scope("encoders");
  for (size_t k = 0; k < encoders_.size(); ++k) {
    if (!encoders_[k].has_encoder()) continue;
    const auto modality = static_cast<int64_t>(k);
    const std::vector<Version> versions = VersionsOf(modality, batches);
    const Packing& packing = PackingOf(batches[0]);
    std::vector<RecurrentRows> parts;
    parts.reserve(versions.size());
    for (const auto& [rows, batch] : versions) {
      parts.push_back(ModalityEncoder::EncoderInput(*rows, packing));
    }
    const CopiesInPass copies(versions.size());
    const std::vector<Tensor> encoded =
        encoders_[k].Encode(Join(parts)).split(packing.num_utterances());
    const Tensor speakers = packing.Pack(batches[0].speakers);
    for (size_t v = 0; v < versions.size(); ++v) {
      nodes_.OfModality(*versions[v].second, encoders_[k].modality(),
                        [&] { return graph_model_.MakeNodes(modality, encoded[v], speakers); });
    }
  }
}

GraphInput SharedPasses::GraphInputOf(const Batch& batch) {
  const Packing& packing = PackingOf(batch);
  GraphInput input;
  for (size_t k = 0; k < encoders_.size(); ++k) {
    input.nodes.push_back(NodesOf(static_cast<int64_t>(k), batch));
  }
  input.norms = norms_.OfUtterances(batch, [&] { return graph_model_.MakeNorms(packing); });
  input.graph = graphs_.Get({batch.context, batch.lengths},
                            [&] { return graph_model_.MakeGraph(batch.context, packing); });
  return input;
}

Tensor SharedPasses::Features(const Batch& batch) {
  return graph_model_.Features(GraphInputOf(batch), PackingOf(batch));
}

Tensor SharedPasses::FeaturesTogether(absl::Span<const Batch> batches) {
  std::vector<GraphInput> inputs;
  inputs.reserve(batches.size());
  for (const Batch& batch : batches) inputs.push_back(GraphInputOf(batch));
  const Packing packing(batches[0].lengths.repeat({static_cast<int64_t>(batches.size())}),
                        batches[0].max_length(), batches[0].speakers.device());
  return graph_model_.Features(JoinInputs(inputs), packing);
}

}  // namespace cmerc
