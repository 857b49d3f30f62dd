// What nearly every source with LibTorch includes, parsed once for all targets that name
// //third_party/libtorch:torch_pch. Not torch/torch.h: gcc instantiates again, for every source,
// the templates that a precompiled header left pending, and those of torch/torch.h take 3 s
// (docs/dependencies.md).
#include <torch/nn/module.h>
