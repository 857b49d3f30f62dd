#include "backbones/m3net/official_leftovers.h"

#include <torch/nn/init.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <memory>

#include "backbones/m3net/stream_norms.h"

namespace cmerc {
namespace {

// Sizes that the official code has as constants.
constexpr int64_t kStreams = 4;
constexpr int64_t kTextWidth = 1024;

std::shared_ptr<torch::nn::Module> AsBuffers(const torch::nn::Module& module) {
  auto copy = std::make_shared<torch::nn::Module>();
  for (const auto& parameter : module.named_parameters(/*recurse=*/false)) {
    copy->register_buffer(parameter.key(), parameter.value().detach());
  }
  for (const auto& buffer : module.named_buffers(/*recurse=*/false)) {
    copy->register_buffer(buffer.key(), buffer.value());
  }
  for (const auto& child : module.named_children()) {
    copy->register_module(child.key(), AsBuffers(*child.value()));
  }
  return copy;
}

}  // namespace

void RegisterAsBuffers(const std::string& name, const torch::nn::Module& unused,
                       torch::nn::Module& parent) {
  parent.register_module(name, AsBuffers(unused));
}

void AddUntrainedWeights(int64_t width, torch::nn::Module& convolution) {
  RegisterAsBuffers("edgefc", *torch::nn::Linear(width, width), convolution);
  for (const char* name : {"weight", "edgeweight"}) {
    convolution.register_buffer(name,
                                torch::nn::init::xavier_uniform_(torch::empty({width, width})));
  }
}

void AddHyperedgeAttributes(int64_t width, torch::nn::Module& graph_model) {
  graph_model.register_buffer("hyperedge_attr1", torch::rand({width}));
  graph_model.register_buffer("hyperedge_attr2", torch::rand({width}));
}

void AddUnusedNorms(M3NetOptions::Norm norm, torch::nn::Module& parent) {
  for (int64_t s = 0; s < kStreams; ++s) {
    if (norm != M3NetOptions::BN) {
      RegisterAsBuffers(StreamNorms::Name("BN", s), *torch::nn::BatchNorm1d(kTextWidth), parent);
    }
    if (norm != M3NetOptions::LN) {
      RegisterAsBuffers(StreamNorms::Name("LN", s),
                        *torch::nn::LayerNorm(torch::nn::LayerNormOptions({kTextWidth})), parent);
    }
  }
}

void AddUnusedEncoder(SequenceEncoder::Kind kind, const std::string& suffix,
                      const M3NetOptions& options, torch::nn::Module& parent) {
  if (kind != SequenceEncoder::Kind::kTransformer) return;
  torch::nn::Module owner;
  const SequenceEncoder unused(owner, kind, suffix, options.input_width(), options.dropout(),
                               /*past=*/false);
  const std::string name = SequenceEncoder::Name(kind, suffix);
  RegisterAsBuffers(name, *owner.named_children()[name], parent);
}

}  // namespace cmerc
