// torch::dropout, made fast on the CPU. It draws the random numbers that torch::dropout draws, one
// by one, from the default generator, so that the masks, the results and the generator's state
// afterwards are the same bits.
//
// Where the rows are those of several copies (copies.h), it draws for the rows of the first one,
// what it would draw for them alone, and all copies have its mask.
#ifndef CMERC_BACKBONES_LAYERS_DROPOUT_H_
#define CMERC_BACKBONES_LAYERS_DROPOUT_H_

#include "torch/types.h"

namespace cmerc {

// x, each number 0 with probability `p` and divided by 1 - p otherwise; x itself unless `training`
// and p > 0. Copies lie one after the other along `axis`. Throws c10::Error for p outside [0, 1].
torch::Tensor Dropout(const torch::Tensor& x, double p, bool training, int64_t axis = 0);

// relu(Dropout(x, p, training)), in one pass over x and its gradient.
torch::Tensor DropoutRelu(const torch::Tensor& x, double p, bool training);

// Dropout() for x [N, ...], with the random numbers of row k for row order[k]; order [N] int64 on
// the CPU is a permutation. Of copies, it has the rows of the first one in the order that they have
// alone.
torch::Tensor DropoutInOrder(const torch::Tensor& x, double p, bool training,
                             const torch::Tensor& order);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_DROPOUT_H_
