#include "losses/device_group_log_sums.h"

#include <torch/csrc/autograd/custom_function.h>

#include "core/cosines.h"
#include "kernels/group_sums.h"
#include "kernels/run_kernel.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// unit [N, H] float32, groups [N] int32, both contiguous -> [N, G].
struct GroupSumsFunction : torch::autograd::Function<GroupSumsFunction> {
  static kernels::GroupSums Arguments(const Tensor& unit, const Tensor& groups,
                                      const Tensor& log_sums, double temperature,
                                      const Tensor& workspace) {
    kernels::GroupSums arguments{};
    arguments.num = unit.size(0);
    arguments.width = unit.size(1);
    arguments.num_groups = log_sums.size(1);
    arguments.temperature = static_cast<float>(temperature);
    arguments.unit = unit.data_ptr<float>();
    arguments.groups = groups.data_ptr<int32_t>();
    arguments.log_sums = log_sums.data_ptr<float>();
    arguments.workspace = workspace.data_ptr<float>();
    return arguments;
  }

  static Tensor Workspace(const Tensor& unit) {
    return torch::empty({kernels::GroupSumsWorkspace(unit.size(0))}, unit.options());
  }

  static Tensor forward(AutogradContext* context, const Tensor& unit, const Tensor& groups,
                        int64_t num_groups, double temperature) {
    Tensor log_sums = torch::empty({unit.size(0), num_groups}, unit.options());
    const Tensor workspace = Workspace(unit);
    kernels::RunKernel(unit, kernels::RunGroupSums, kernels::LaunchGroupSums,
                       Arguments(unit, groups, log_sums, temperature, workspace));
    context->save_for_backward({unit, groups, log_sums});
    context->saved_data["temperature"] = temperature;
    return log_sums;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor& unit = saved[0];
    const Tensor workspace = Workspace(unit);
    const Tensor d_log_sums = gradients[0].contiguous();
    const Tensor d_unit = torch::empty_like(unit);
    kernels::GroupSums arguments = Arguments(
        unit, saved[1], saved[2], context->saved_data["temperature"].toDouble(), workspace);
    arguments.d_log_sums = d_log_sums.data_ptr<float>();
    arguments.d_unit = d_unit.data_ptr<float>();
    kernels::RunKernel(unit, kernels::RunGroupSumsBackward, kernels::LaunchGroupSumsBackward,
                       arguments);
    return {d_unit, Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor DeviceGroupLogSums(const Tensor& features, const Tensor& groups, int64_t num_groups,
                          double temperature) {
  return GroupSumsFunction::apply(UnitRows(features.to(torch::kFloat32)).contiguous(),
                                  groups.to(torch::kInt32).contiguous(), num_groups, temperature);
}

}  // namespace cmerc
