#include "backbones/layers/distinct_rows.h"

#include <algorithm>
#include <cstring>

#include "core/batch.h"
#include "core/to_device.h"

namespace cmerc {
namespace {

using torch::Tensor;

// Whether the rows positions[first], ..., positions[last - 1] of a stream are the same bits.
bool Alike(const Tensor& stream, const Tensor& positions, int64_t first, int64_t last) {
  const int64_t length = stream.size(1);
  const auto* const position = positions.data_ptr<int64_t>();
  const auto* const data = stream.data_ptr<float>();
  const auto row = [&](int64_t i) {
    return data + position[i] / length * stream.stride(0) + position[i] % length * stream.stride(1);
  };
  for (int64_t i = first + 1; i < last; ++i) {
    if (row(i) == row(first)) continue;
    if (std::memcmp(row(i), row(first), stream.size(2) * sizeof(float)) != 0) return false;
  }
  return true;
}

// Whether Alike() can look at it.
bool Readable(const Tensor& stream) {
  return stream.is_cpu() && stream.scalar_type() == torch::kFloat32 && stream.stride(2) == 1;
}

}  // namespace

DistinctRows::DistinctRows(const std::vector<Tensor>& streams, const Packing& packing, bool padded,
                           bool alike)
    : num_utterances_(packing.num_utterances()) {
  const int64_t num_conversations = packing.num_conversations();
  const int64_t max_length = packing.max_length();
  const int64_t num_padding = num_conversations * max_length - num_utterances_;
  const Tensor valid = ValidRows(packing.lengths(), max_length).flatten();
  const Tensor utterances = valid.nonzero().squeeze(1);
  const Tensor padding = valid.logical_not().nonzero().squeeze(1);
  const auto* const lengths = packing.lengths().contiguous().data_ptr<int64_t>();
  const auto all_streams = [&](const auto& condition) {
    return alike && std::all_of(streams.begin(), streams.end(), [&](const Tensor& stream) {
             return Readable(stream) && condition(stream);
           });
  };

  const bool constant = max_length > 1 && all_streams([&](const Tensor& stream) {
                          if (stream.stride(1) == 0) return true;
                          if (padded && num_padding > 0) return false;
                          int64_t first = 0;
                          for (int64_t b = 0; b < num_conversations; first += lengths[b++]) {
                            if (!Alike(stream, utterances, first, first + lengths[b])) return false;
                          }
                          return true;
                        });
  if (constant) {
    positions_ = torch::arange(num_conversations) * max_length;
    const Tensor conversations = torch::arange(num_conversations);
    input_of_ = conversations.repeat_interleave(packing.lengths());
    if (padded) {
      input_of_ =
          torch::cat({input_of_, conversations.repeat_interleave(max_length - packing.lengths())});
    }
    return;
  }
  if (!padded || num_padding == 0) {
    if (num_padding > 0) positions_ = utterances;
    return;
  }
  const bool one_padding =
      all_streams([&](const Tensor& stream) { return Alike(stream, padding, 0, num_padding); });
  if (one_padding) {
    positions_ = torch::cat({utterances, padding.narrow(0, 0, 1)});
    input_of_ = torch::cat({torch::arange(num_utterances_),
                            torch::full({num_padding}, num_utterances_, torch::kInt64)});
  } else {
    positions_ = torch::cat({utterances, padding});
  }
}

Tensor DistinctRows::Select(const Tensor& all) const {
  const Tensor rows = all.dim() == 3 ? all.flatten(0, 1) : all;
  return positions_.defined() ? SelectRows(rows, ToDevice(positions_, rows.device())) : rows;
}

Tensor DistinctRows::Utterances(const Tensor& rows) const {
  if (!input_of_.defined()) return rows.narrow(0, 0, num_utterances_);
  return rows.index_select(0, ToDevice(input_of_.narrow(0, 0, num_utterances_), rows.device()));
}

}  // namespace cmerc
