#include "core/torch_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::Not;

// What CatchTorch() makes of an exception that `f` throws.
template <typename F>
absl::Status StatusOfThrowing(F f) {
  return CatchTorch([&] { f(); });
}

TEST(CatchTorchTest, PassesTheResultOn) {
  const absl::StatusOr<std::string> result = CatchTorch([] { return std::string("yes"); });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(*result, "yes");
  const auto moved = CatchTorch([] { return std::make_unique<int>(3); });
  EXPECT_EQ(**moved, 3);
}

TEST(CatchTorchTest, NothingReturnedIsOk) {
  int calls = 0;
  const auto status = CatchTorch([&] { ++calls; });
  static_assert(std::is_same_v<decltype(status), const absl::Status>);
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_EQ(calls, 1);
}

TEST(CatchTorchTest, AStatusIsPassedOn) {
  const auto refuse = [](bool refused, bool thrown) {
    return CatchTorch([&] {
      TORCH_CHECK(!thrown, "thrown");
      return refused ? absl::NotFoundError("refused") : absl::OkStatus();
    });
  };
  static_assert(std::is_same_v<decltype(refuse(false, false)), absl::Status>);
  EXPECT_EQ(refuse(false, false), absl::OkStatus());
  EXPECT_EQ(refuse(true, false), absl::NotFoundError("refused"));
  EXPECT_EQ(refuse(true, true), absl::InternalError("thrown"));
}

TEST(CatchTorchTest, AStatusOrIsNotNested) {
  const auto number = [](bool refused, bool thrown) {
    return CatchTorch([&]() -> absl::StatusOr<int> {
      TORCH_CHECK(!thrown, "thrown");
      if (refused) return absl::NotFoundError("refused");
      return 3;
    });
  };
  static_assert(std::is_same_v<decltype(number(false, false)), absl::StatusOr<int>>);
  EXPECT_EQ(number(false, false).value(), 3);
  EXPECT_EQ(number(true, false).status(), absl::NotFoundError("refused"));
  EXPECT_EQ(number(true, true).status(), absl::InternalError("thrown"));
}

TEST(CatchTorchTest, WhatTheCallerGaveIsInvalidArgument) {
  EXPECT_EQ(StatusOfThrowing([] { TORCH_CHECK_INDEX(false, "index"); }),
            absl::InvalidArgumentError("index"));
  EXPECT_EQ(StatusOfThrowing([] { TORCH_CHECK_VALUE(false, "value ", 3); }),
            absl::InvalidArgumentError("value 3"));
  EXPECT_EQ(StatusOfThrowing([] { TORCH_CHECK_TYPE(false, "type"); }),
            absl::InvalidArgumentError("type"));
}

TEST(CatchTorchTest, OtherErrorsAreInternal) {
  EXPECT_EQ(StatusOfThrowing([] { TORCH_CHECK(false, "other"); }), absl::InternalError("other"));
  EXPECT_EQ(StatusOfThrowing([] { throw std::runtime_error("standard"); }),
            absl::InternalError("standard"));
  const absl::Status status = StatusOfThrowing([] {
    torch::mm(torch::ones({2, 3}), torch::ones({2, 3}));
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("2x3"));
}

TEST(CatchTorchTest, NoBacktrace) {
  const absl::Status status =
      StatusOfThrowing([] { torch::ones({2}).index_select(0, torch::tensor({9})); });
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(Not(HasSubstr("frame #")), Not(HasSubstr("Exception raised from"))));
}

TEST(CatchTorchTest, OutOfMemoryIsResourceExhausted) {
  EXPECT_EQ(StatusOfThrowing([] { throw std::bad_alloc(); }).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(StatusOfThrowing([] { TORCH_CHECK_WITH(OutOfMemoryError, false, "GPU is full"); }),
            absl::ResourceExhaustedError("GPU is full"));
  // What LibTorch's allocator says when the processor's memory cannot hold a tensor.
  EXPECT_EQ(StatusOfThrowing([] {
              TORCH_CHECK(false, "DefaultCPUAllocator: not enough memory: you tried to allocate");
            }).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(StatusOfThrowing([] {
              TORCH_CHECK(
                  false, "[enforce fail at alloc.cpp:66] err == 0. DefaultCPUAllocator: ",
                  "can't allocate memory: you tried to allocate 25600 bytes. Error code 12");
            }),
            absl::ResourceExhaustedError("out of memory: you tried to allocate 25600 bytes; use a "
                                         "smaller model or batch"));
}

}  // namespace
}  // namespace cmerc
