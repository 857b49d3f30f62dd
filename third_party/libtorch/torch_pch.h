// LibTorch, parsed once for all targets that name //third_party/libtorch:torch.
#include <torch/torch.h>
