#include "tests/host_device/host_device.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/rnn.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "torch/autograd.h"
#include "torch/nn.h"
#include "torch/optim.h"

namespace cmerc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using torch::Tensor;
using torch::indexing::Slice;

constexpr int64_t kRows = 12;
constexpr int64_t kWidth = 5;

// The operators that models are made of.
struct Net : torch::nn::Cloneable<Net> {
  Net() { reset(); }

  void reset() override {
    embedding = register_module("embedding", torch::nn::Embedding(11, 6));
    cell = register_module("cell", torch::nn::GRUCell(6, kWidth));
    query = register_module("query", torch::nn::Linear(kWidth, kWidth));
    norm = register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({kWidth})));
    batch_norm = register_module("batch_norm", torch::nn::BatchNorm1d(kWidth));
    output = register_module("output", torch::nn::Linear(3 * kWidth, 4));
  }

  // `ids`: 3 x 4. `groups`: of the 12 rows, below 3. `mask`: 4, which places may be looked at.
  Tensor forward(const Tensor& ids, const Tensor& groups, const Tensor& mask) {
    std::vector<Tensor> states;
    for (const Tensor& step : embedding(ids).unbind(1)) {
      states.push_back(cell(step, states.empty() ? Tensor() : states.back()));
    }
    Tensor x = torch::stack(states, 1);
    const Tensor scores = torch::einsum("bid,bjd->bij", {query(x), x}) / std::sqrt(kWidth);
    x = scores.masked_fill(~mask, -std::numeric_limits<float>::infinity()).softmax(2).bmm(x);
    x = norm(batch_norm(x.reshape({kRows, kWidth})));
    x = torch::where(x > 0, x, 0.1 * x) + std::get<0>(x.sort(1)) * x.cumsum(0);
    const Tensor none = torch::zeros({3, kWidth}, x.options());
    const Tensor sums = none.index_add(0, groups, x);
    const Tensor same = none.scatter_add(0, groups.unsqueeze(1).expand_as(x), x);
    const Tensor both = torch::stack({sums, same}).mean(0).index({groups});
    const Tensor first = x.gather(1, groups.unsqueeze(1)).expand({-1, kWidth});
    return torch::log_softmax(output(torch::cat({x.index_select(0, groups), both, first}, 1)), 1);
  }

  torch::nn::Embedding embedding = nullptr;
  torch::nn::GRUCell cell = nullptr;
  torch::nn::Linear query = nullptr;
  torch::nn::LayerNorm norm = nullptr;
  torch::nn::BatchNorm1d batch_norm = nullptr;
  torch::nn::Linear output = nullptr;
};

// The loss on `device`, after its backward pass.
Tensor Step(const torch::Device& device, Net* net) {
  const Tensor rows = torch::arange(kRows, device);
  const Tensor mask = torch::arange(4, device) != 2;
  const Tensor loss =
      torch::nll_loss(net->forward(rows.reshape({3, 4}) % 7, rows % 3, mask), rows % 4);
  loss.backward();
  return loss.detach();
}

void ExpectSameBits(const Tensor& actual, const Tensor& expected, const std::string& of) {
  EXPECT_EQ(actual.device(), HostDevice()) << of;
  EXPECT_TRUE(expected.is_cpu()) << of;
  EXPECT_TRUE(torch::equal(actual.cpu(), expected)) << of << actual << expected;
}

void ExpectSameState(const Net& actual, const Net& expected) {
  for (const auto& parameter : expected.named_parameters()) {
    const Tensor there = actual.named_parameters()[parameter.key()];
    ExpectSameBits(there.detach(), parameter->detach(), parameter.key());
    ExpectSameBits(there.grad(), parameter->grad(), "gradient of " + parameter.key());
  }
  for (const auto& buffer : expected.named_buffers()) {
    ExpectSameBits(actual.named_buffers()[buffer.key()], buffer.value(), buffer.key());
  }
}

std::shared_ptr<Net> NewNet() {
  torch::manual_seed(1);
  return std::make_shared<Net>();
}

// On the device, with the same parameters.
std::shared_ptr<Net> OnDevice(const Net& net) {
  return std::dynamic_pointer_cast<Net>(net.clone(HostDevice()));
}

std::string ErrorOf(const std::function<void()>& run) {
  try {
    run();
  } catch (const c10::Error& error) {
    return error.msg();
  }
  return "";
}

std::vector<std::string> WaitsOf(const std::function<void()>& run) {
  ResetWaits();
  run();
  return WaitingOperators();
}

TEST(HostDeviceTest, IsNotTheCpu) {
  const Tensor x = torch::ones({2, 3}, HostDevice());
  EXPECT_FALSE(x.is_cpu());
  EXPECT_FALSE(x.is_cuda());
  EXPECT_EQ(x.device(), HostDevice());
  EXPECT_EQ(x.device().index(), 0);
  for (const Tensor& other : {torch::empty({4}, x.options()), torch::zeros_like(x), x + 1,
                              x.t().contiguous(), x.to(torch::kFloat64), x.clone()}) {
    EXPECT_EQ(other.device(), HostDevice());
  }
  // "the current one"
  EXPECT_TRUE(x.to(HostDevice().type()).is_same(x));
}

TEST(HostDeviceTest, MemoryIsTheProcessors) {
  const Tensor x = torch::arange(6, HostDevice()).to(torch::kFloat32).reshape({2, 3});
  x.data_ptr<float>()[5] = 7;
  EXPECT_EQ(x[1][2].item<float>(), 7);
  const Tensor columns = x.t().contiguous();
  EXPECT_EQ(columns.data_ptr<float>()[1], 3);
}

TEST(HostDeviceTest, ViewsShareMemory) {
  for (const torch::Device& device : {torch::Device(torch::kCPU), HostDevice()}) {
    Tensor x = torch::zeros({2, 3}, device);
    x.view({6}).slice(0, 4).fill_(1);
    x.t().select(0, 1).add_(2);
    x.index_put_({0, Slice(0, 1)}, 5);
    x.detach().split(1, 1)[2].mul_(3);
    EXPECT_TRUE(torch::equal(x.cpu(), torch::tensor({{5.F, 2.F, 0.F}, {0.F, 3.F, 3.F}}))) << x;
    EXPECT_TRUE(x.view({3, 2}).is_alias_of(x));
  }
}

TEST(HostDeviceTest, WritesThroughViewsAreDifferentiated) {
  Tensor leaf = torch::ones({3}, HostDevice()).requires_grad_();
  const Tensor x = leaf * 1;
  x.slice(0, 0, 2).mul_(4);
  x.sum().backward();
  ExpectSameBits(leaf.grad(), torch::tensor({4.F, 4.F, 1.F}), "gradient");
  // What was saved for the backward pass must not be written to.
  const Tensor square = (leaf * 1).pow(2);
  const Tensor saved = leaf * 1;
  const Tensor product = saved * saved;
  saved.view({3}).add_(1);
  EXPECT_THAT(ErrorOf([&] { product.sum().backward(); }), HasSubstr("inplace operation"));
}

TEST(HostDeviceTest, ArgumentsGetStorageAndShape) {
  Tensor x = torch::ones({2}, HostDevice());
  const Tensor same = x.alias();
  torch::add_out(x, torch::ones({2}, HostDevice()), torch::ones({2}, HostDevice()));
  EXPECT_EQ(same.sum().item<float>(), 4);
  x.resize_({500});
  x.fill_(3);
  EXPECT_EQ(x.sum().item<float>(), 1500);
  EXPECT_EQ(x.data_ptr<float>()[499], 3);
  EXPECT_EQ(x.storage().nbytes(), 500 * sizeof(float));
  EXPECT_EQ(same.sum().item<float>(), 6) << "the storage has moved for all its tensors";
  const Tensor other = torch::ones({3}, HostDevice());
  x.set_(other);
  x.mul_(2);
  EXPECT_EQ(other.sum().item<float>(), 6);
  x.set_(same.storage(), 1, {1}, {1});
  EXPECT_EQ(x.item<float>(), 3);
  x.set_data(torch::ones({4}, torch::kCPU));
  EXPECT_TRUE(x.is_cpu());
}

TEST(HostDeviceTest, SameTensorStaysSame) {
  Tensor x = torch::ones({1}, HostDevice());
  // That it is the result and an argument.
  EXPECT_THAT(ErrorOf([&] { torch::add_out(x, x, torch::ones({3}, HostDevice())); }),
              HasSubstr("output with shape"));
  // That the result is an argument, which C++ takes for granted.
  {
    const at::AutoDispatchBelowADInplaceOrView below;
    torch::jit::Stack stack = {x, x};
    c10::Dispatcher::singleton().findSchemaOrThrow("aten::mul_", "Tensor").callBoxed(&stack);
    EXPECT_TRUE(stack.at(0).toTensor().is_same(x));
  }
  // That it stands for a number, which does not decide about the type.
  const Tensor number = torch::ones({}, torch::device(HostDevice()).dtype(torch::kFloat64));
  number.unsafeGetTensorImpl()->set_wrapped_number(true);
  EXPECT_EQ((x.sum() * number).scalar_type(), torch::kFloat32);
}

TEST(HostDeviceTest, NetIsThatOfTheCpu) {
  const std::shared_ptr<Net> expected = NewNet();
  const std::shared_ptr<Net> actual = OnDevice(*expected);
  for (const bool training : {true, false}) {
    expected->train(training);
    actual->train(training);
    const Tensor loss = Step(torch::kCPU, expected.get());
    ExpectSameBits(Step(HostDevice(), actual.get()), loss, "loss");
    ExpectSameState(*actual, *expected);
  }
}

TEST(HostDeviceTest, GruIsThatOfTheCpu) {
  const auto run = [](const torch::Device& device) {
    torch::manual_seed(2);
    torch::nn::GRU gru(torch::nn::GRUOptions(4, 3).bidirectional(true));
    const Tensor input = torch::randn({5, 2, 4});
    gru->to(device);
    const Tensor output = std::get<0>(gru(input.to(device)));
    output.square().sum().backward();
    return std::vector<Tensor>{output.detach().cpu(), gru->all_weights()[0].grad().cpu()};
  };
  const std::vector<Tensor> expected = run(torch::kCPU);
  const std::vector<Tensor> actual = run(HostDevice());
  EXPECT_TRUE(torch::equal(actual[0], expected[0]));
  // For the CPU alone LibTorch multiplies the inputs of all steps at once.
  EXPECT_TRUE(torch::allclose(actual[1], expected[1])) << actual[1] << expected[1];
}

TEST(HostDeviceTest, StepsOfOptimizersAreThoseOfTheCpu) {
  const auto train = [](torch::optim::Optimizer* optimizer, const torch::Device& device, Net* net) {
    for (int step = 0; step < 3; ++step) {
      optimizer->zero_grad();
      Step(device, net);
      optimizer->step();
    }
  };
  const std::shared_ptr<Net> expected = NewNet();
  const std::shared_ptr<Net> actual = OnDevice(*expected);
  torch::optim::Adam expected_adam(expected->parameters());
  torch::optim::Adam actual_adam(actual->parameters());
  train(&expected_adam, torch::kCPU, expected.get());
  train(&actual_adam, HostDevice(), actual.get());
  ExpectSameState(*actual, *expected);
  torch::optim::SGD expected_sgd(expected->parameters(), torch::optim::SGDOptions(.1).momentum(.9));
  torch::optim::SGD actual_sgd(actual->parameters(), torch::optim::SGDOptions(.1).momentum(.9));
  train(&expected_sgd, torch::kCPU, expected.get());
  train(&actual_sgd, HostDevice(), actual.get());
  ExpectSameState(*actual, *expected);
}

// x^2 with a gradient that it is not.
struct Square : torch::autograd::Function<Square> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    return x * x;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    return {gradients[0] * context->get_saved_variables()[0] * 10};
  }
};

TEST(HostDeviceTest, CustomFunctionIsDifferentiated) {
  const Tensor x = torch::full({2}, 3.F, HostDevice()).requires_grad_();
  const Tensor y = Square::apply(x);
  ExpectSameBits(y.detach(), torch::full({2}, 9.F), "value");
  y.sum().backward();
  ExpectSameBits(x.grad(), torch::full({2}, 30.F), "gradient");
}

TEST(HostDeviceTest, ModuleMovesBothWays) {
  const std::shared_ptr<Net> net = NewNet();
  const Tensor before = net->query->weight.detach().clone();
  net->to(HostDevice());
  ExpectSameBits(net->query->weight.detach(), before, "weight");
  net->to(torch::kCPU);
  EXPECT_TRUE(torch::equal(net->query->weight, before));
}

TEST(HostDeviceTest, MixingDevicesThrows) {
  const Tensor here = torch::ones({3, 3});
  Tensor there = here.to(HostDevice());
  const Tensor rows = torch::arange(2);
  const std::vector<std::pair<std::string, std::function<void()>>> cases = {
      {"aten::add", [&] { there + here; }},
      {"aten::add", [&] { here + there; }},
      {"aten::mm", [&] { there.mm(here); }},
      {"aten::cat",
       [&] {
         torch::cat({there, here});
       }},
      {"aten::index_select", [&] { there.index_select(0, rows); }},
      {"aten::index", [&] { there.index({rows}); }},
      {"aten::_index_put_impl_", [&] { there.index_put_({rows}, 1); }},
      {"aten::index_select", [&] { torch::embedding(there, rows); }},
      {"aten::addmm", [&] { torch::linear(there, there, torch::ones({3})); }},
      // A number may be on the CPU, but neither the result nor what is in a list.
      {"aten::add_", [&] { torch::ones({}).add_(there.sum()); }},
      {"aten::cat", [&] {
         torch::stack({there.sum(), here.sum()});
       }}};
  for (const auto& [name, run] : cases) {
    const std::string error = ErrorOf(run);
    EXPECT_THAT(error, HasSubstr(name + ": Expected all tensors to be on the same device"));
    EXPECT_THAT(error, HasSubstr("cpu"));
    EXPECT_THAT(error, HasSubstr(HostDevice().str()));
  }
}

TEST(HostDeviceTest, NumberOfTheCpuMayBeMixed) {
  const Tensor x = torch::ones({3}, HostDevice());
  ExpectSameBits(x * torch::tensor(2.F), torch::full({3}, 2.F), "product");
  ExpectSameBits(torch::tensor(2.) - x, torch::ones({3}), "difference");
}

TEST(HostDeviceTest, CountsWaits) {
  const Tensor here = torch::ones({3, 3});
  Tensor there = here.to(HostDevice());
  const Tensor mask = there > 0;
  const Tensor counts = torch::ones({3}, there.options().dtype(torch::kInt64));
  const std::vector<std::pair<std::string, std::function<void()>>> waiting = {
      {"aten::_local_scalar_dense", [&] { there.sum().item<float>(); }},
      {"aten::_local_scalar_dense", [&] { there.sum().is_nonzero(); }},
      {"aten::copy_", [&] { there.cpu(); }},
      {"aten::copy_", [&] { here.to(HostDevice()); }},
      {"aten::copy_",
       [&] {
         torch::tensor({1, 2}, HostDevice());
       }},
      {"aten::equal", [&] { torch::equal(there, there); }},
      {"aten::nonzero", [&] { there.nonzero(); }},
      {"aten::masked_select", [&] { there.masked_select(mask); }},
      {"aten::index", [&] { there.index({mask}); }},
      {"aten::_index_put_impl_", [&] { there.index_put_({mask}, 1); }},
      {"aten::_unique2", [&] { at::_unique2(there); }},
      {"aten::bincount", [&] { counts.bincount(); }},
      {"aten::masked_fill_", [&] { there.masked_fill(mask, there.sum()); }},
      {"aten::repeat_interleave", [&] { there.repeat_interleave(counts, 0); }}};
  for (const auto& [name, run] : waiting) {
    EXPECT_THAT(WaitsOf(run), ElementsAre(name));
    EXPECT_EQ(Waits(), 1) << name;
  }
  const std::vector<std::function<void()>> not_waiting = {
      [&] { here.to(HostDevice(), /*non_blocking=*/true); },
      [&] { here.pin_memory().to(HostDevice(), /*non_blocking=*/true); },
      [&] { there.to(torch::kFloat64); },
      [&] { there.index({counts}); },
      [&] { there.masked_fill(mask, 0.F); },
      [&] { there.repeat_interleave(counts, 0, /*output_size=*/3); },
      [&] { there.sum() * torch::tensor(2.F); },
      [&] { torch::randperm(3, there.options()); }};
  for (const std::function<void()>& run : not_waiting) EXPECT_THAT(WaitsOf(run), IsEmpty());
}

TEST(HostDeviceTest, CountsCopiesFromTheCpu) {
  const Tensor here = torch::ones({2}), there = torch::ones({2}, HostDevice());
  ResetWaits();
  here.to(HostDevice());
  here.to(HostDevice(), /*non_blocking=*/true);
  EXPECT_EQ(CopiesFromCpu(), 2);
  there.cpu();
  there.clone();
  there.add_(1);
  EXPECT_EQ(CopiesFromCpu(), 2);
  ResetWaits();
  EXPECT_EQ(CopiesFromCpu(), 0);
}

TEST(HostDeviceTest, CountsWaitsOfBackwardPasses) {
  const Tensor x = torch::ones({3}, HostDevice()).requires_grad_();
  const Tensor y = x.index({x.detach() > 0}).sum();
  EXPECT_THAT(WaitsOf([&] { y.backward(); }), ElementsAre("aten::_index_put_impl_"));
}

TEST(HostDeviceTest, StepDoesNotWait) {
  const std::shared_ptr<Net> net = OnDevice(*NewNet());
  EXPECT_THAT(WaitsOf([&] { Step(HostDevice(), net.get()); }), IsEmpty());
}

TEST(HostDeviceTest, DrawsFromTheCpusGenerator) {
  const auto draw = [](const torch::Device& device) {
    torch::manual_seed(3);
    const Tensor x = torch::randn({20}, device);
    return torch::stack({x, torch::dropout(x, .3, /*train=*/true), torch::rand_like(x),
                         torch::empty_like(x).bernoulli_(.5), torch::randperm(20, x.options())});
  };
  ExpectSameBits(draw(HostDevice()), draw(torch::kCPU), "numbers");
  at::Generator generator = at::globalContext().defaultGenerator(torch::kCPU);
  EXPECT_THAT(ErrorOf([&] { torch::randn({2}, generator, torch::device(HostDevice())); }),
              HasSubstr("generator"));
}

}  // namespace
}  // namespace cmerc
