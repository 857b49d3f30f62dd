#include "training/parts.h"

#include <utility>

#include "core/streams.h"

namespace cmerc {
namespace {

using torch::Tensor;

// Rows of [B, T, ...], padded to `longest`; dense, unless it stands for more than it holds.
Tensor CutPadded(const Tensor& padded, const Slice& conversations, int64_t longest) {
  const Tensor cut =
      padded.narrow(0, conversations.begin, conversations.size()).narrow(1, 0, longest);
  return padded.stride(0) == 0 && padded.numel() > 1 ? cut : cut.contiguous();
}

}  // namespace

Slice SliceOf(int64_t total, int64_t slices, int64_t index) {
  return {total * index / slices, total * (index + 1) / slices};
}

Batch CutBatch(const Batch& batch, const Slice& conversations) {
  Batch part;
  part.scope = batch.scope;
  part.lengths = batch.lengths.narrow(0, conversations.begin, conversations.size()).contiguous();
  const int64_t longest = part.lengths.max().item<int64_t>();
  for (const Modality& modality : batch.modalities) {
    part.modalities.push_back({modality.name, MapStreams(modality.streams, [&](const Tensor& all) {
                                 return CutPadded(all, conversations, longest);
                               })});
  }
  part.speakers = CutPadded(batch.speakers, conversations, longest);
  part.context = CutPadded(batch.context, conversations, longest).narrow(2, 0, longest);
  if (batch.context.stride(0) != 0) part.context = part.context.contiguous();
  if (batch.evidence.defined()) {
    part.evidence = CutPadded(batch.evidence, conversations, longest);
  }
  const int64_t before = batch.lengths.narrow(0, 0, conversations.begin).sum().item<int64_t>();
  part.labels = batch.labels.narrow(0, before, part.lengths.sum().item<int64_t>()).contiguous();
  if (batch.labelled.defined()) {
    part.labelled = (part.labels != kUnlabelled).nonzero().squeeze(1);
  }
  return part;
}

void PartSums::Add(Node node) {
  // The node before it is its sibling where both are halves of one that the tree has.
  while (!nodes_.empty() && nodes_.back().size == node.size &&
         nodes_.back().first % (2 * node.size) == 0) {
    Node& sibling = nodes_.back();
    if (node.sum.defined()) node.sum = sibling.sum.add_(node.sum);
    node.first = sibling.first;
    node.size *= 2;
    nodes_.pop_back();
  }
  nodes_.push_back(std::move(node));
}

std::vector<PartSums::Node> PartSums::NodesOf(const Slice& parts) {
  PartSums sums;
  for (int64_t part = parts.begin; part < parts.end; ++part) sums.Add({part, 1, Tensor()});
  return sums.nodes();
}

}  // namespace cmerc
