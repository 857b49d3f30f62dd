// Element types that checkpoints hold.
#ifndef CMERC_STORAGE_STORAGE_TYPES_H_
#define CMERC_STORAGE_STORAGE_TYPES_H_

#include "torch/types.h"

namespace cmerc {

// An element type, and what torch.save() calls a storage of it.
struct StorageType {
  torch::ScalarType dtype;
  const char* name;
};

constexpr StorageType kStorageTypes[] = {
    {torch::kFloat32, "FloatStorage"}, {torch::kFloat64, "DoubleStorage"},
    {torch::kFloat16, "HalfStorage"},  {torch::kBFloat16, "BFloat16Storage"},
    {torch::kInt64, "LongStorage"},    {torch::kInt32, "IntStorage"},
    {torch::kInt16, "ShortStorage"},   {torch::kInt8, "CharStorage"},
    {torch::kUInt8, "ByteStorage"},    {torch::kBool, "BoolStorage"},
};

}  // namespace cmerc

#endif  // CMERC_STORAGE_STORAGE_TYPES_H_
