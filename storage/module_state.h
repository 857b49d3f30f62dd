// Moving weights between a module and a state dict.
#ifndef CMERC_STORAGE_MODULE_STATE_H_
#define CMERC_STORAGE_MODULE_STATE_H_

#include <torch/nn/module.h>

#include <string>

#include "absl/status/status.h"
#include "storage/checkpoint.h"

namespace cmerc {

// Every parameter and buffer: the module's own tensors, which change with it.
StateDict TensorsOf(const torch::nn::Module& module);

// A copy of every parameter and buffer.
StateDict StateOf(const torch::nn::Module& module);

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
