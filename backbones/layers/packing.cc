#include "backbones/layers/packing.h"

#include <torch/csrc/autograd/custom_function.h>

#include <tuple>

#include "core/batch.h"
#include "core/to_device.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Each is the other's gradient. LibTorch's own index_select adds rows up one by one in its backward
// pass, since a row may occur twice; here none does.
struct SelectRowsFunction : torch::autograd::Function<SelectRowsFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& rows) {
    context->save_for_backward({rows});
    context->saved_data["num_rows"] = x.size(0);
    return x.index_select(0, rows);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {PlaceRows(gradients[0], context->get_saved_variables()[0],
                      context->saved_data["num_rows"].toInt()),
            Tensor()};
  }
};

struct PlaceRowsFunction : torch::autograd::Function<PlaceRowsFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& rows,
                        int64_t num_rows) {
    context->save_for_backward({rows});
    std::vector<int64_t> shape = x.sizes().vec();
    shape[0] = num_rows;
    return torch::zeros(shape, x.options().requires_grad(false)).index_copy_(0, rows, x);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {SelectRows(gradients[0], context->get_saved_variables()[0]), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor SelectRows(const Tensor& x, const Tensor& rows) {
  return SelectRowsFunction::apply(x, rows);
}

Tensor PlaceRows(const Tensor& x, const Tensor& rows, int64_t num_rows) {
  return PlaceRowsFunction::apply(x, rows, num_rows);
}

Packing::Packing(const Tensor& lengths, int64_t max_length, torch::Device device)
    : lengths_(lengths),
      max_length_(max_length),
      num_utterances_(lengths.sum().item<int64_t>()),
      valid_(ToDevice(ValidRows(lengths, max_length), device)),
      weights_(valid_.to(torch::kFloat32)),
      rows_(ToDevice(PackedRows(lengths, max_length), device)) {}

Packing::Packing(const Batch& batch)
    : Packing(batch.lengths, batch.max_length(), batch.speakers.device()) {}

Tensor Packing::Pack(const Tensor& padded) const {
  const Tensor rows = padded.flatten(0, 1);
  return num_utterances_ == rows.size(0) ? rows : SelectRows(rows, rows_);
}

Tensor Packing::Pad(const Tensor& packed) const {
  std::vector<int64_t> shape = packed.sizes().vec();
  shape[0] = max_length_;
  shape.insert(shape.begin(), num_conversations());
  const int64_t num_rows = num_conversations() * max_length_;
  return (num_utterances_ == num_rows ? packed : PlaceRows(packed, rows_, num_rows)).view(shape);
}

Tensor Packing::PackPairs(const Tensor& padded) const {
  Tensor pairs = padded.flatten();
  if (num_utterances_ == num_conversations() * max_length_) return pairs;
  // Found on the CPU, since a device would be waited for.
  const Tensor valid = ValidRows(lengths_, max_length_);
  const Tensor positions =
      valid.unsqueeze(1).logical_and(valid.unsqueeze(2)).flatten().nonzero().squeeze(1);
  return SelectRows(pairs, ToDevice(positions, padded.device()));
}

Packing::TimeMajor Packing::MakeTimeMajor() const {
  const auto [sorted, conversations] =
      lengths_.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true);
  const Tensor time = torch::arange(sorted[0].item<int64_t>()).unsqueeze(1);
  const Tensor running = time < sorted.unsqueeze(0);
  const Tensor starts = (lengths_.cumsum(0) - lengths_).index_select(0, conversations);
  return {ToDevice((starts.unsqueeze(0) + time).masked_select(running), rows_.device()),
          running.sum(1)};
}

}  // namespace cmerc
