// The parts that a batch is divided into (training.parts), which process has which, and how numbers
// of the parts are added up: always in the same order.
#ifndef CMERC_TRAINING_PARTS_H_
#define CMERC_TRAINING_PARTS_H_

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "core/batch.h"

namespace cmerc {

// Things in a row: those from `begin` to end - 1.
struct Slice {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
};

// The `index`-th of so many slices that `total` things are divided into: sizes differ by at most
// one, and are 0 where there are fewer things than slices.
Slice SliceOf(int64_t total, int64_t slices, int64_t index);

// These conversations of a batch, of which there is at least one, padded to the longest of them:
// the batch that they would be by themselves.
Batch CutBatch(const Batch& batch, const Slice& conversations);

// Sums over the parts along the binary tree whose leaves they are: ((0 + 1) + (2 + 3)) + ... Which
// process has computed a part, and so in which order the sums are made, changes no bit.
class PartSums {
 public:
  // A sum over `size` parts, a power of two that divides `first`.
  struct Node {
    int64_t first = 0;
    int64_t size = 1;
    torch::Tensor sum;
  };

  // Nodes come in the order of their parts, without gaps, and all sums have one shape. Takes over
  // node.sum, and adds to it in place.
  void Add(Node node);

  // The sums so far, the fewest of which the tree has all that was added.
  const std::vector<Node>& nodes() const { return nodes_; }

  // nodes() after the parts of a slice, without sums.
  static std::vector<Node> NodesOf(const Slice& parts);

 private:
  std::vector<Node> nodes_;
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_PARTS_H_
