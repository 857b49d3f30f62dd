#include "backbones/high_frequency.h"

namespace cmerc {

using torch::Tensor;

HighFrequencyGraph MakeHighFrequencyGraph(const Tensor& context, int64_t num_modalities,
                                          const Packing& packing) {
  const Tensor others = torch::eye(context.size(1), context.options()).logical_not();  // [T, T]
  const Tensor& valid = packing.valid();
  const Tensor neighbours = context.logical_and(others)
                                .logical_and(valid.unsqueeze(1))
                                .logical_and(valid.unsqueeze(2))
                                .to(torch::kFloat32);
  // A node without neighbours sends nothing that its degree could scale, unless contexts are
  // one-sided; then it counts as having one.
  const Tensor degree = (neighbours.sum(2) + (num_modalities - 1)).clamp_min(1);  // [B, T]
  const Tensor scale = degree.rsqrt();
  return {neighbours * scale.unsqueeze(2) * scale.unsqueeze(1), degree.reciprocal().unsqueeze(2)};
}

std::vector<Tensor> HighFrequencyLayer(const std::vector<Tensor>& nodes,
                                       const HighFrequencyGraph& graph, const Tensor& gate_weight,
                                       const Tensor& gate_bias) {
  const Tensor weights = gate_weight.view({2, -1});  // w1, w2
  std::vector<Tensor> receive, send;                 // a and b, each [B, T, 1]
  for (const Tensor& node : nodes) {
    const Tensor gates = torch::linear(node, weights);
    receive.push_back(gates.narrow(2, 0, 1) + gate_bias);
    send.push_back(gates.narrow(2, 1, 1));
  }
  std::vector<Tensor> result;
  for (size_t k = 0; k < nodes.size(); ++k) {
    const Tensor gate = torch::tanh(receive[k] + send[k].transpose(1, 2)) * graph.within;
    Tensor sum = torch::baddbmm(nodes[k], gate, nodes[k]);
    for (size_t other = 0; other < nodes.size(); ++other) {
      if (other == k) continue;
      sum =
          torch::addcmul(sum, torch::tanh(receive[k] + send[other]) * graph.between, nodes[other]);
    }
    result.push_back(sum);
  }
  return result;
}

}  // namespace cmerc
