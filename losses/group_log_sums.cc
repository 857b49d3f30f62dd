#include "losses/group_log_sums.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// How many pairs are worth a thread of their own.
constexpr int64_t kPairsPerThread = 1 << 15;

int64_t RowsPerThread(int64_t num) { return std::max<int64_t>(1, kPairsPerThread / num); }

// largest[i, g] = the largest cosines_ij of the sum (i, g), and shifted_ij = (cosines_ij - largest)
// / temperature, the argument of exp(); -infinity on the diagonal.
template <typename T>
void Shift(const T* cosines, const int64_t* groups, int64_t num, int64_t num_groups,
           double temperature, T* largest, T* shifted) {
  const T scale = static_cast<T>(1 / temperature);
  at::parallel_for(0, num, RowsPerThread(num), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* row = cosines + i * num;
      T* of_group = largest + i * num_groups;
      std::fill(of_group, of_group + num_groups, static_cast<T>(kLogZero));
      for (int64_t j = 0; j < num; ++j) {
        T& most = of_group[groups[j]];
        if (j != i && row[j] > most) most = row[j];
      }
      for (int64_t j = 0; j < num; ++j) {
        shifted[i * num + j] = (row[j] - of_group[groups[j]]) * scale;
      }
      shifted[i * num + i] = -std::numeric_limits<T>::infinity();
    }
  });
}

// Computes from what Shift() left and its exponentials the logarithms of the sums, and the factors
// that turn a gradient of them into one of the cosines: 1 / (sum * temperature), or 0 where there
// is nothing to add up.
template <typename T>
void Sum(const T* exponentials, const T* largest, const int64_t* groups, int64_t num,
         int64_t num_groups, double temperature, T* log_sums, T* factors) {
  at::parallel_for(0, num, RowsPerThread(num), [&](int64_t begin, int64_t end) {
    std::vector<double> sums(num_groups);
    for (int64_t i = begin; i < end; ++i) {
      std::fill(sums.begin(), sums.end(), 0);
      for (int64_t j = 0; j < num; ++j) sums[groups[j]] += exponentials[i * num + j];
      for (int64_t g = 0; g < num_groups; ++g) {
        const int64_t at = i * num_groups + g;
        const bool empty = sums[g] == 0;
        log_sums[at] =
            static_cast<T>(empty ? kLogZero : largest[at] / temperature + std::log(sums[g]));
        factors[at] = static_cast<T>(empty ? 0 : 1 / (sums[g] * temperature));
      }
    }
  });
}

// The gradient of the cosines from that of the logarithms, times its factors, by groups.
template <typename T>
void Multiply(const T* exponentials, const T* of_groups, const int64_t* groups, int64_t num,
              int64_t num_groups, T* result) {
  at::parallel_for(0, num, RowsPerThread(num), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t j = 0; j < num; ++j) {
        result[i * num + j] = exponentials[i * num + j] * of_groups[i * num_groups + groups[j]];
      }
    }
  });
}

struct GroupLogSumsFunction : torch::autograd::Function<GroupLogSumsFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& cosines, const Tensor& groups,
                        int64_t num_groups, double temperature) {
    const int64_t num = cosines.size(0);
    const Tensor rows = cosines.contiguous();
    const Tensor exponentials = torch::empty_like(rows);
    const Tensor largest = torch::empty({num, num_groups}, rows.options());
    const Tensor log_sums = torch::empty_like(largest);
    const Tensor factors = torch::empty_like(largest);
    const int64_t* group = groups.data_ptr<int64_t>();
    AT_DISPATCH_FLOATING_TYPES(rows.scalar_type(), "GroupLogSums", [&] {
      Shift(rows.data_ptr<scalar_t>(), group, num, num_groups, temperature,
            largest.data_ptr<scalar_t>(), exponentials.data_ptr<scalar_t>());
      exponentials.exp_();  // LibTorch's is vectorized
      Sum(exponentials.data_ptr<scalar_t>(), largest.data_ptr<scalar_t>(), group, num, num_groups,
          temperature, log_sums.data_ptr<scalar_t>(), factors.data_ptr<scalar_t>());
    });
    context->save_for_backward({exponentials, factors, groups});
    return log_sums;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor& exponentials = saved[0];
    const Tensor of_groups = (gradients[0] * saved[1]).contiguous();
    const Tensor result = torch::empty_like(exponentials);
    AT_DISPATCH_FLOATING_TYPES(result.scalar_type(), "GroupLogSums", [&] {
      Multiply(exponentials.data_ptr<scalar_t>(), of_groups.data_ptr<scalar_t>(),
               saved[2].data_ptr<int64_t>(), result.size(0), of_groups.size(1),
               result.data_ptr<scalar_t>());
    });
    return {result, Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor GroupLogSums(const Tensor& cosines, const Tensor& groups, int64_t num_groups,
                    double temperature) {
  return GroupLogSumsFunction::apply(cosines, groups.contiguous(), num_groups, temperature);
}

}  // namespace cmerc
