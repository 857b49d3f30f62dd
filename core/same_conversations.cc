#include "core/same_conversations.h"

#include "core/streams.h"
#include "core/to_device.h"

namespace cmerc {
namespace {

using torch::Tensor;

// Clears same [B] where a and b [B, ...] differ.
void Compare(const Tensor& a, const Tensor& b, Tensor& same) {
  if (a.is_same(b) || (!a.defined() && !b.defined())) return;
  if (a.defined() != b.defined()) {
    same.fill_(false);
    return;
  }
  if (!same.is_cpu()) {
    same.logical_and_((a == b).flatten(1).all(1));
    return;
  }
  auto* const flags = same.data_ptr<bool>();
  for (int64_t i = 0; i < same.size(0); ++i) {
    // equal() is over as soon as it comes to a difference.
    flags[i] = flags[i] && a[i].equal(b[i]);
  }
}

}  // namespace

Tensor InSameConversations(const Batch& a, const Batch& b) {
  Tensor same = torch::ones({a.num_conversations()}, a.context.options());
  Compare(a.evidence, b.evidence, same);
  Compare(a.context, b.context, same);
  for (size_t m = 0; m < a.modalities.size(); ++m) {
    const std::vector<Tensor>& streams = a.modalities[m].streams;
    for (size_t s = 0; s < streams.size(); ++s) {
      if (IsSameAsPrevious(streams, s) && IsSameAsPrevious(b.modalities[m].streams, s)) continue;
      Compare(streams[s], b.modalities[m].streams[s], same);
    }
  }
  if (same.is_cpu() && !same.any().item<bool>()) return Tensor();
  const Tensor rows =
      torch::arange(a.num_conversations()).repeat_interleave(a.lengths);  // [N], on the CPU
  return same.index_select(0, ToDevice(rows, same.device()));
}

}  // namespace cmerc
