// Streams that are one tensor. Files often hold the same features as several streams of a modality;
// they then stay one tensor all the way, which costs no memory and is worked on once.
#ifndef CMERC_CORE_STREAMS_H_
#define CMERC_CORE_STREAMS_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "torch/types.h"

namespace cmerc {

// Whether stream `s` is the tensor that the stream before it is (Tensor::is_same); false for the
// first one.
inline bool IsSameAsPrevious(const std::vector<torch::Tensor>& streams, size_t s) {
  return s > 0 && streams[s].is_same(streams[s - 1]);
}

// f(stream) for each stream, in order. It is called once for neighbors that are one tensor, and its
// result stands for all of them.
template <typename F>
std::vector<torch::Tensor> MapStreams(const std::vector<torch::Tensor>& streams, const F& f) {
  std::vector<torch::Tensor> results;
  results.reserve(streams.size());
  for (size_t s = 0; s < streams.size(); ++s) {
    torch::Tensor result = IsSameAsPrevious(streams, s) ? results.back() : f(streams[s]);
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace cmerc

#endif  // CMERC_CORE_STREAMS_H_
