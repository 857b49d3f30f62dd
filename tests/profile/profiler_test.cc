#include "profile/profiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_split.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const ProfileEvent* Find(const std::vector<ProfileEvent>& events, const std::string& name) {
  for (const ProfileEvent& event : events) {
    if (event.name == name) return &event;
  }
  return nullptr;
}

TEST(ProfilerTest, WithoutAProfilerMarksDoNothing) {
  const ProfileScope scope("nobody listens");
  CountWork(1, 1);
  EXPECT_EQ(profile_listener, nullptr);
}

TEST(ProfilerTest, ScopesAndOperatorsNest) {
  const torch::Tensor a = torch::ones({30, 40}), b = torch::ones({40, 50});
  Profiler profiler;
  profiler.Start();
  {
    const ProfileScope outer("outer");
    CountWork(7, 9);
    {
      const ProfileScope inner("inner");
      a.mm(b);
    }
  }
  profiler.Stop();
  a.mm(b);  // not recorded
  const std::vector<ProfileEvent>& events = profiler.events();
  const ProfileEvent *outer = Find(events, "outer"), *inner = Find(events, "inner"),
                     *product = Find(events, "aten::mm");
  ASSERT_TRUE(outer != nullptr && inner != nullptr && product != nullptr);
  EXPECT_EQ(outer->parent, -1);
  EXPECT_EQ(&events[inner->parent], outer);
  EXPECT_EQ(&events[product->parent], inner);
  EXPECT_EQ(outer->flops, 7);
  EXPECT_EQ(outer->bytes, 9);
  EXPECT_EQ(product->flops, 2 * 30 * 40 * 50);
  EXPECT_EQ(product->bytes, 4 * (30 * 40 + 40 * 50 + 30 * 50));
  EXPECT_LE(outer->begin, inner->begin);
  EXPECT_LE(inner->end, outer->end);
  int products = 0;
  for (const ProfileEvent& event : events) products += event.name == "aten::mm" ? 1 : 0;
  EXPECT_EQ(products, 1);
}

// An operator that consists of others does not count their work again.
TEST(ProfilerTest, OperatorsOfOperatorsCountOnce) {
  const torch::Tensor x = torch::ones({10, 20}), weight = torch::ones({30, 20}),
                      bias = torch::ones({30});
  Profiler profiler;
  profiler.Start();
  torch::linear(x, weight, bias);
  profiler.Stop();
  double flops = 0;
  for (const ProfileEvent& event : profiler.events()) flops += event.flops;
  EXPECT_EQ(flops, 2 * 10 * 20 * 30);
}

// The list is gone when the operator ends.
TEST(ProfilerTest, ListsOfTensorsAreRead) {
  const torch::Tensor a = torch::ones({10, 20});
  Profiler profiler;
  profiler.Start();
  torch::stack({a, a, a});
  profiler.Stop();
  double bytes = 0;
  for (const ProfileEvent& event : profiler.events()) bytes += event.bytes;
  EXPECT_EQ(bytes, 4 * 10 * 20 * 6);
}

TEST(ProfilerTest, TheBackwardPassIsRecordedByItsNodes) {
  const torch::Tensor x = torch::ones({10, 20}, torch::requires_grad());
  const torch::Tensor y = x.mm(torch::ones({20, 30})).sum();
  Profiler profiler;
  profiler.Start();
  {
    const ProfileScope scope("backward");
    y.backward();
  }
  profiler.Stop();
  const ProfileEvent* node =
      Find(profiler.events(), "autograd::engine::evaluate_function: MmBackward0");
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(profiler.events()[node->parent].name, "backward");
}

TEST(ProfilerTest, AnExceptionClosesItsScopes) {
  Profiler profiler;
  profiler.Start();
  try {
    const ProfileScope scope("fails");
    torch::ones({2}).mm(torch::ones({2}));
  } catch (const c10::Error&) {
  }
  const ProfileScope next("next");
  profiler.Stop();
  const ProfileEvent* event = Find(profiler.events(), "next");
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->parent, -1);
  EXPECT_GE(event->end, event->begin);
}

// A phase "forward" of 8 ms in two steps, with a product of 4 ms at half the machine's speed.
std::vector<ProfileEvent> TwoSteps() {
  ProfileEvent forward, product, copy;
  forward.name = "forward";
  forward.is_scope = true;
  forward.end = 8000000;
  product.name = "say \"product\"";
  product.parent = 0;
  product.begin = 1000000;
  product.end = 5000000;
  product.flops = 2e6;
  copy.name =
      "autograd::engine::evaluate_function: torch::autograd::CppNode<cmerc::(anonymous "
      "namespace)::CopyFunction>";
  copy.parent = 0;
  copy.begin = 5000000;
  copy.end = 7000000;
  copy.bytes = 1e6;
  return {forward, product, copy};
}

TEST(FormatProfileTest, PerStepAndAgainstTheFloor) {
  const std::string text = FormatProfile(TwoSteps(), 2, {1e9, 1e9});
  std::vector<std::vector<std::string>> rows;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    rows.push_back(absl::StrSplit(line, ' ', absl::SkipEmpty()));
  }
  ASSERT_EQ(rows.size(), 7u);
  // ms, %, GFLOP, MB, floor ms, times the floor
  EXPECT_THAT(rows[1], ElementsAre("forward", "4.00", "100.0", "0.00", "0.5", "1.50", "2.7"));
  EXPECT_THAT(rows[2],
              ElementsAre("say", "\"product\"", "2.00", "50.0", "0.00", "0.0", "1.00", "2.0"));
  EXPECT_THAT(rows[3], ElementsAre("CopyFunction", "backward", "1.00", "25.0", "0.00", "0.5",
                                   "0.50", "2.0"));
  EXPECT_THAT(rows[4], ElementsAre("between", "them", "1.00", "25.0", "0.00", "0.0", "0.00"));
  EXPECT_EQ(rows[5][0], "all");
}

TEST(ChromeTraceTest, MicrosecondsAndEscapes) {
  const std::string text = ChromeTrace(TwoSteps());
  EXPECT_THAT(text, AllOf(HasSubstr("\"name\":\"say \\\"product\\\"\",\"ph\":\"X\""),
                          HasSubstr("\"ts\":1000.000,\"dur\":4000.000"), Not(HasSubstr(",]"))));
  EXPECT_THAT(ChromeTrace({}), Not(IsEmpty()));
}

TEST(MeasurePeakTest, IsPositive) {
  const MachinePeak peak = MeasurePeak();
  EXPECT_GT(peak.flops_per_second, 0);
  EXPECT_GT(peak.bytes_per_second, 0);
}

}  // namespace
}  // namespace cmerc
