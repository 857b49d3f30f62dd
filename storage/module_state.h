// Moving weights between a module and a state dict.
#ifndef CMERC_STORAGE_MODULE_STATE_H_
#define CMERC_STORAGE_MODULE_STATE_H_

#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "storage/checkpoint.h"

namespace cmerc {

// Every parameter and buffer: the module's own tensors, which change with it.
StateDict TensorsOf(const torch::nn::Module& module);

// A copy of every parameter and buffer.
StateDict StateOf(const torch::nn::Module& module);

// How a state dict differs from what a module holds, in names and shapes: a phrase each.
struct StateDifferences {
  std::vector<std::string> missing;  // what it lacks, or has in another shape
  std::vector<std::string> unexpected;

  size_t size() const { return missing.size() + unexpected.size(); }
};

StateDifferences CompareState(const StateDict& state, const torch::nn::Module& module);

// Copies `state` into `module`. Nothing is copied and InvalidArgument is returned, with all
// differences, when a name is missing, unknown or has another shape; `source` is the file, for the
// message.
absl::Status LoadState(const StateDict& state, torch::nn::Module& module,
                       const std::string& source);

// Copies every parameter and buffer of `from` into `to`, which must have parameters and buffers of
// the same names and shapes (both were made from the same options). Returns no status: it throws
// LibTorch's exception where a name is missing or a shape differs, so call it within CatchTorch().
void CopyState(const torch::nn::Module& from, torch::nn::Module& to);

}  // namespace cmerc

#endif  // CMERC_STORAGE_MODULE_STATE_H_
