#include "backbones/layers/recurrent_rows.h"

#include "core/to_device.h"

namespace cmerc {
namespace {

using torch::Tensor;

// Returns the starts and the lengths of the conversations [2, B], longest first (stable).
Tensor SortedConversations(const Tensor& starts, const Tensor& lengths) {
  const auto [sorted, order] = lengths.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true);
  return torch::stack({starts.index_select(0, order), sorted});
}

}  // namespace

RecurrentRows Join(const std::vector<RecurrentRows>& parts) {
  std::vector<Tensor> inputs, lengths, of_utterances, of_padding;
  int64_t num_inputs = 0;
  for (const RecurrentRows& part : parts) {
    inputs.push_back(part.inputs);
    lengths.push_back(part.lengths);
    const Tensor input_of =
        (part.input_of.defined() ? part.input_of : torch::arange(part.inputs.size(0))) + num_inputs;
    const auto num_utterances = part.lengths.sum().item<int64_t>();
    of_utterances.push_back(input_of.narrow(0, 0, num_utterances));
    of_padding.push_back(input_of.narrow(0, num_utterances, input_of.size(0) - num_utterances));
    num_inputs += part.inputs.size(0);
  }
  const Tensor input_of = torch::cat({torch::cat(of_utterances), torch::cat(of_padding)});
  // Inputs in the order in which rows read them, so that none comes after its row.
  std::vector<int64_t> order, number(num_inputs, -1);
  auto* const read = input_of.data_ptr<int64_t>();
  for (int64_t r = 0; r < input_of.size(0); ++r) {
    if (number[read[r]] < 0) {
      number[read[r]] = static_cast<int64_t>(order.size());
      order.push_back(read[r]);
    }
    read[r] = number[read[r]];
  }
  const Tensor all = torch::cat(inputs);
  return {all.index_select(0, ToDevice(torch::tensor(order), all.device())), torch::cat(lengths),
          parts[0].padded_length, input_of};
}

void CheckRows(const RecurrentRows& rows, int64_t input_size) {
  const Tensor& lengths = rows.lengths;
  TORCH_CHECK(lengths.dim() == 1 && lengths.scalar_type() == torch::kInt64 && lengths.is_cpu() &&
                  lengths.size(0) >= 1 && lengths.min().item<int64_t>() >= 1,
              "lengths must be one or more int64 >= 1 on the CPU, got ", lengths.toString(), " ",
              lengths.sizes());
  const auto longest = lengths.max().item<int64_t>();
  TORCH_CHECK(rows.padded_length == 0 || rows.padded_length >= longest, "padded_length is ",
              rows.padded_length, ", want 0 or at least the longest length, ", longest);
  const int64_t num_rows = rows.padded_length == 0 ? lengths.sum().item<int64_t>()
                                                   : lengths.size(0) * rows.padded_length;
  TORCH_CHECK(rows.inputs.dim() == 2 && rows.inputs.size(1) == input_size, "inputs have shape ",
              rows.inputs.sizes(), ", want [rows, ", input_size, "]");
  if (!rows.input_of.defined()) {
    TORCH_CHECK(rows.inputs.size(0) == num_rows, "inputs have shape ", rows.inputs.sizes(),
                ", want [", num_rows, ", ", input_size, "] (all rows, input_size)");
    return;
  }
  const Tensor& input_of = rows.input_of;
  TORCH_CHECK(input_of.sizes() == torch::IntArrayRef({num_rows}) &&
                  input_of.scalar_type() == torch::kInt64 && input_of.is_cpu(),
              "input_of must be [", num_rows, "] int64 on the CPU, got ", input_of.toString(), " ",
              input_of.sizes());
  TORCH_CHECK(input_of.min().item<int64_t>() >= 0 &&
                  input_of.max().item<int64_t>() < rows.inputs.size(0) &&
                  (input_of <= torch::arange(num_rows)).all().item<bool>(),
              "input_of names one of the ", rows.inputs.size(0),
              " inputs for every row, and none after the row itself");
}

Tensor InputOfEachRow(const RecurrentRows& rows) {
  return rows.input_of.defined()
             ? rows.inputs.index_select(0, ToDevice(rows.input_of, rows.inputs.device()))
             : rows.inputs;
}

RowOrder::RowOrder(const RecurrentRows& rows)
    : num_utterances(rows.lengths.sum().item<int64_t>()), num_rows(num_utterances) {
  const int64_t num_conversations = rows.lengths.size(0);
  const int64_t length = rows.padded_length;
  run_lengths = rows.lengths;
  if (length > 0) {
    run_lengths = torch::full_like(rows.lengths, length);
    num_rows = num_conversations * length;
  }
  const Tensor starts = run_lengths.cumsum(0) - run_lengths;
  whole = SortedConversations(starts, run_lengths);
  utterances = SortedConversations(starts, rows.lengths);
  if (num_rows > num_utterances) {
    row_at = torch::empty({num_rows}, torch::kInt64);
    auto* const row = row_at.data_ptr<int64_t>();
    const auto* const real = rows.lengths.data_ptr<int64_t>();
    int64_t utterance = 0;
    int64_t padding = num_utterances;
    for (int64_t b = 0; b < num_conversations; ++b) {
      for (int64_t t = 0; t < length; ++t) {
        row[b * length + t] = t < real[b] ? utterance++ : padding++;
      }
    }
  }
}

Packing::TimeMajor RowOrder::ByTime() const {
  Packing::TimeMajor result =
      Packing(run_lengths, run_lengths.max().item<int64_t>(), torch::kCPU).MakeTimeMajor();
  if (row_at.defined()) result.order = row_at.index_select(0, result.order);
  return result;
}

}  // namespace cmerc
