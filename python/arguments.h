// What the operators make of their arguments, and of errors. Within this room errors are
// exceptions, since that is what LibTorch passes on to Python.
#ifndef CMERC_PYTHON_ARGUMENTS_H_
#define CMERC_PYTHON_ARGUMENTS_H_

#include <google/protobuf/any.pb.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/dataset.h"
#include "core/loss.h"
#include "core/view.h"
#include "torch/types.h"

namespace cmerc::python {

// Throws unless `status` is OK, with its message: std::runtime_error, Python's RuntimeError, for
// Internal, ResourceExhausted and Unavailable; for any other code, which means that the caller gave
// something wrong, std::invalid_argument, its ValueError.
void ThrowUnlessOk(const absl::Status& status);

// What `result` holds. Throws what ThrowUnlessOk() throws.
template <typename T>
T ValueOf(absl::StatusOr<T> result) {
  ThrowUnlessOk(result.status());
  return *std::move(result);
}

// The data as losses and scores know them: `class_counts` are empty where nobody counted.
DatasetInfo InfoOf(const std::vector<std::string>& modalities,
                   const std::vector<std::string>& class_names,
                   const std::vector<int64_t>& class_counts);

// The options of a loss, of the text that a config has within `loss { }`. Throws
// std::invalid_argument with what ReadText() says of it.
google::protobuf::Any OptionsOf(const std::string& text);

// "0", "1", ...: names of classes that have none.
std::vector<std::string> Numbered(int64_t num_classes);

// The views of `info` with these names, in their order. Throws std::invalid_argument for a name
// that is none, with the list.
std::vector<View> ViewsCalled(const std::vector<std::string>& names, const DatasetInfo& info);

// The names of views, in their order.
std::vector<std::string> NamesOf(const std::vector<View>& views);

// labels [N] int64 where every "no label" is kUnlabelled: PyTorch's losses ignore -100. Throws
// std::invalid_argument for another shape or type, and for a value that is neither a class nor "no
// label"; values are looked at only on the CPU, since a GPU would be waited for.
torch::Tensor CheckedLabels(const torch::Tensor& labels, int64_t num_utterances,
                            int64_t num_classes);

// Throws std::invalid_argument, with `name` in front, unless `log_probs` is an [N, C] tensor of
// floating-point numbers, N >= 1 and C >= 1.
void CheckLogProbs(const std::string& name, const torch::Tensor& log_probs);

// The predictions and labels that losses compute with. `features` may be undefined. Throws
// std::invalid_argument for tensors that do not fit each other, and where no utterance has a label.
LossInput InputOf(const torch::Tensor& log_probs, const torch::Tensor& features,
                  const torch::Tensor& labels, const std::vector<View>& views,
                  const std::vector<torch::Tensor>& view_log_probs);

}  // namespace cmerc::python

#endif  // CMERC_PYTHON_ARGUMENTS_H_
