// The queue of requests: its limit, batches, deadlines and its end.
#include "serving/work_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "serving/counters.h"
#include "serving/extractor.h"

namespace cmerc::serving {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class TestJob final : public Job {
 public:
  explicit TestJob(const void* group = nullptr, size_t weight = 1)
      : group_(group), weight_(weight) {}
  const void* group() const override { return group_; }
  size_t weight() const override { return weight_; }

 private:
  const void* group_;
  size_t weight_;
};

Deadline In(seconds time) { return std::chrono::steady_clock::now() + time; }
Deadline Far() { return In(seconds(600)); }

// A queue whose one worker waits until it is let go, and notes the sizes of its batches.
class GatedQueue {
 public:
  explicit GatedQueue(WorkQueueOptions options)
      : queue_(
            options, [](int) {},
            [this](int, absl::Span<const std::shared_ptr<Job>> jobs) {
              if (!has_begun_.exchange(true)) begun_.set_value();
              gate_.wait();
              sizes_.push_back(jobs.size());
              for (const auto& job : jobs) job->Finish(absl::OkStatus());
            }) {}

  WorkQueue& queue() { return queue_; }
  void WaitUntilBusy() { begun_.get_future().wait(); }
  void LetGo() { go_.set_value(); }
  const std::vector<size_t>& sizes() const { return sizes_; }

 private:
  std::promise<void> begun_, go_;
  std::shared_future<void> gate_ = go_.get_future().share();
  std::atomic<bool> has_begun_{false};
  std::vector<size_t> sizes_;
  WorkQueue queue_;
};

TEST(WorkQueueTest, MoreThanMayWaitAreRefusedAtOnce) {
  GatedQueue gated({1, /*max_waiting=*/2});
  ASSERT_TRUE(gated.queue().Submit(std::make_shared<TestJob>()).ok());
  gated.WaitUntilBusy();
  const auto second = std::make_shared<TestJob>(), third = std::make_shared<TestJob>();
  EXPECT_TRUE(gated.queue().Submit(second).ok());
  EXPECT_TRUE(gated.queue().Submit(third).ok());
  EXPECT_EQ(gated.queue().waiting(), 2u);
  const absl::Status refused = gated.queue().Submit(std::make_shared<TestJob>());
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(refused.message().find("--max_queue"), std::string::npos);
  gated.LetGo();
  EXPECT_TRUE(second->Wait(Far()).ok());
  EXPECT_TRUE(third->Wait(Far()).ok());
}

TEST(WorkQueueTest, WhatWaitsForTooLongIsGivenUpAndNotBegun) {
  GatedQueue gated({1, 8});
  ASSERT_TRUE(gated.queue().Submit(std::make_shared<TestJob>()).ok());
  gated.WaitUntilBusy();
  const auto late = std::make_shared<TestJob>();
  ASSERT_TRUE(gated.queue().Submit(late).ok());
  EXPECT_EQ(late->Wait(In(seconds(0))).code(), absl::StatusCode::kDeadlineExceeded);
  gated.LetGo();
  gated.queue().Drain();
  EXPECT_EQ(gated.sizes(), std::vector<size_t>{1});
}

TEST(WorkQueueTest, JobsOfOneGroupRunTogetherUpToTheLimit) {
  GatedQueue gated({1, 16, /*max_batch=*/3});
  const int group = 0, other = 0;
  ASSERT_TRUE(gated.queue().Submit(std::make_shared<TestJob>()).ok());
  gated.WaitUntilBusy();
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(gated.queue().Submit(std::make_shared<TestJob>(&group)).ok());
    ASSERT_TRUE(gated.queue().Submit(std::make_shared<TestJob>(&other)).ok());
  }
  // Of weight 2: only one of the others has room beside it.
  ASSERT_TRUE(gated.queue().Submit(std::make_shared<TestJob>(&other, 2)).ok());
  gated.LetGo();
  gated.queue().Drain();
  EXPECT_EQ(gated.sizes(), (std::vector<size_t>{1, 3, 3, 1, 2}));
}

TEST(WorkQueueTest, ABatchThatIsNotFullIsWaitedForUntilItIs) {
  WorkQueueOptions options{1, 16, /*max_batch=*/2};
  options.max_delay = seconds(600);
  const int group = 0;
  std::vector<size_t> sizes;
  WorkQueue queue(
      options, [](int) {},
      [&](int, absl::Span<const std::shared_ptr<Job>> jobs) {
        sizes.push_back(jobs.size());
        for (const auto& job : jobs) job->Finish(absl::OkStatus());
      });
  const auto first = std::make_shared<TestJob>(&group), second = std::make_shared<TestJob>(&group);
  ASSERT_TRUE(queue.Submit(first).ok());
  ASSERT_TRUE(queue.Submit(second).ok());
  EXPECT_TRUE(first->Wait(Far()).ok());
  EXPECT_TRUE(second->Wait(Far()).ok());
  queue.Drain();
  EXPECT_EQ(sizes, std::vector<size_t>{2});
}

TEST(WorkQueueTest, DrainDoesWhatHasComeAndRefusesTheRest) {
  std::atomic<int> done{0};
  WorkQueue queue(
      {2, 100}, [](int) {},
      [&](int, absl::Span<const std::shared_ptr<Job>> jobs) {
        for (const auto& job : jobs) {
          ++done;
          job->Finish(absl::OkStatus());
        }
      });
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(queue.Submit(std::make_shared<TestJob>()).ok());
  queue.Drain();
  EXPECT_EQ(done, 50);
  EXPECT_EQ(queue.Submit(std::make_shared<TestJob>()).code(), absl::StatusCode::kUnavailable);
}

TEST(CountersTest, AreWrittenForPrometheus) {
  Counters counters;
  counters.AddRequest("http", "infer", "OK", 0.003);
  counters.AddRequest("http", "infer", "OK", 0.3);
  counters.AddRequest("grpc", "infer", "NOT_FOUND", 99);
  counters.AddPredicted("a\"b", 2, 40);
  counters.AddLoad("m", true);
  counters.AddOpenStreams(2);
  const std::string text = counters.Text(7, {{"m", true}, {"n", false}});
  for (const char* line :
       {"cmerc_requests_total{protocol=\"http\",request=\"infer\",code=\"OK\"} 2\n",
        "cmerc_request_seconds_bucket{protocol=\"http\",request=\"infer\",le=\"0.005\"} 1\n",
        "cmerc_request_seconds_bucket{protocol=\"http\",request=\"infer\",le=\"0.5\"} 2\n",
        "cmerc_request_seconds_bucket{protocol=\"grpc\",request=\"infer\",le=\"10\"} 0\n",
        "cmerc_request_seconds_bucket{protocol=\"grpc\",request=\"infer\",le=\"+Inf\"} 1\n",
        "cmerc_utterances_total{model=\"a\\\"b\"} 40\n", "cmerc_model_ready{model=\"n\"} 0\n",
        "cmerc_waiting_requests 7\n", "cmerc_open_streams 2\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

class ExtractorTest : public testing::Test {
 protected:
  // As serve.cc does.
  ExtractorTest() { std::signal(SIGPIPE, SIG_IGN); }
};

TEST_F(ExtractorTest, GivesWhatTheCommandMakes) {
  Extractor extractor("tr a-z A-Z");
  const std::string lines(200000, 'x');
  const auto made = extractor.Run(lines, Far());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(*made, std::string(200000, 'X'));
}

TEST_F(ExtractorTest, SaysWhyTheCommandFails) {
  Extractor fails("echo no encoder >&2; exit 3");
  const absl::Status status = fails.Run("x", Far()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("status 3: no encoder"), std::string::npos) << status;
}

TEST_F(ExtractorTest, EndsACommandThatTakesTooLong) {
  Extractor slow("sleep 1000 & wait");
  const auto until = std::chrono::steady_clock::now() + milliseconds(50);
  EXPECT_EQ(slow.Run("x", until).status().code(), absl::StatusCode::kDeadlineExceeded);
  Extractor closes("exec >&- 2>&-; sleep 1000");
  const auto again = std::chrono::steady_clock::now() + milliseconds(50);
  EXPECT_FALSE(closes.Run("x", again).ok());
}

}  // namespace
}  // namespace cmerc::serving
