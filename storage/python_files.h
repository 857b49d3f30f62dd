// What Python saves where a state dict is wanted, and the line of Python that makes a state dict of
// it.
#ifndef CMERC_STORAGE_PYTHON_FILES_H_
#define CMERC_STORAGE_PYTHON_FILES_H_

#include <string>

#include "absl/strings/string_view.h"

namespace cmerc {

// python3 -c "import torch; torch.save(EXPRESSION, 'weights.pth')", where LOAD in `expression` is
// replaced by the call that loads the file `path`; with weights_only=False where the expression
// calls something or names no entry ("KEY"), since other objects than tensors are loaded then.
std::string SaveInPython(absl::string_view expression, const std::string& path);

// Says of the bytes of a file that is no zip archive what PyTorch or its users have written there,
// and the line that saves it anew: the format before PyTorch 1.6, a state dict of pickle.dump(), or
// safetensors. Empty: none of these.
std::string DescribeOtherFormat(absl::string_view bytes, const std::string& path);

// Says of a data.pkl that holds objects that are not read how to save the weights alone. It is a
// whole model where classes of torch.nn are among them.
std::string DescribeOtherObjects(absl::string_view pickled, const std::string& path);

// The line that makes a state dict of a TorchScript archive.
std::string DescribeTorchScript(const std::string& path);

}  // namespace cmerc

#endif  // CMERC_STORAGE_PYTHON_FILES_H_
