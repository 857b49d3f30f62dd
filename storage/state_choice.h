// Which dict of a file that Python saved holds the weights. People save a state dict itself, or put
// it into a dict beside the epoch and the state of the optimizer, under a name of their own; and
// wrappers put a prefix in front of every name in it.
#ifndef CMERC_STORAGE_STATE_CHOICE_H_
#define CMERC_STORAGE_STATE_CHOICE_H_

#include <string>

#include "absl/status/statusor.h"
#include "storage/pickle/pickle.h"

namespace cmerc {

// The names of the functions of torch._utils that a pickle calls for a tensor and a parameter.
constexpr char kRebuildTensor[] = "torch._utils._rebuild_tensor_v2";
constexpr char kRebuildParameter[] = "torch._utils._rebuild_parameter";

struct StateChoice {
  // The dict of tensors, in the document.
  const pickle::Value* dict = nullptr;
  // What every name in it begins with and loses when it is read: "module." of DataParallel and
  // DistributedDataParallel, "_orig_mod." of torch.compile, or several of them.
  std::string prefix;
  // What the user should know of the two, a sentence; empty where the dict is the whole file and
  // has no prefix.
  std::string note;
};

// Chooses the dict of tensors in `document`, the data.pkl of the file `path`: the root; or its
// entry "state_dict"; or the one entry that is a dict of tensors. With `as_it_is`, which a file of
// ours is read with: the root, without a prefix. InvalidArgument, with the place in the file: the
// root is no dict, there is no dict of tensors, or there are several, which are named with the line
// of Python that saves one of them.
absl::StatusOr<StateChoice> ChooseState(const pickle::Document& document, const std::string& path,
                                        bool as_it_is);

}  // namespace cmerc

#endif  // CMERC_STORAGE_STATE_CHOICE_H_
