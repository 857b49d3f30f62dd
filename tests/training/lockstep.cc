#include "tests/training/lockstep.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status.h"

namespace cmerc {
namespace {

// What the ranks share. One of them has the turn, and only it may look at anything.
class Turns {
 public:
  explicit Turns(int size)
      : given_{Given(size), Given(size)}, calls_(size, 0), over_(size, false) {}

  int size() const { return static_cast<int>(over_.size()); }

  void WaitFor(int rank) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return turn_ == rank; });
  }
  // To the next rank that is not over.
  void PassOn() {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (int i = 0; i < size(); ++i) {
      turn_ = (turn_ + 1) % size();
      if (!over_[turn_]) break;
    }
    changed_.notify_all();
  }
  void End(int rank) {
    over_[rank] = true;
    PassOn();
  }

  using Given = std::vector<torch::Tensor>;
  void Give(int rank, int64_t call, const torch::Tensor& tensor) {
    given_[call % 2][rank] = tensor.detach().clone();
    calls_[rank] = call + 1;
  }
  // What was given in this call, which the next one leaves in place; nullptr: a rank has ended.
  const Given* given(int64_t call) const {
    const bool all = *std::min_element(calls_.begin(), calls_.end()) > call;
    return all ? &given_[call % 2] : nullptr;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int turn_ = 0;
  Given given_[2];
  std::vector<int64_t> calls_;  // of each rank
  std::vector<bool> over_;
};

class Lockstep final : public ProcessGroup {
 public:
  Lockstep(int rank, Turns& turns)
      : rank_(rank), turns_(turns), generator_(at::globalContext().defaultGenerator(torch::kCPU)) {}

  int rank() const override { return rank_; }
  int size() const override { return turns_.size(); }

  absl::StatusOr<std::vector<torch::Tensor>> AllGather(const torch::Tensor& mine,
                                                       absl::string_view what) override {
    turns_.Give(rank_, calls_, mine);
    const torch::Tensor state = generator_.get_state();
    turns_.PassOn();
    turns_.WaitFor(rank_);
    generator_.set_state(state);
    const Turns::Given* const given = turns_.given(calls_++);
    if (given == nullptr) return absl::UnavailableError(absl::StrCat(what, ": a rank has ended"));
    std::vector<torch::Tensor> all;
    for (const torch::Tensor& one : *given) all.push_back(one.clone());
    return all;
  }

  absl::StatusOr<bool> Any(bool mine, absl::string_view what) override {
    ASSIGN_OR_RETURN(const std::vector<torch::Tensor> all,
                     AllGather(torch::full({1}, mine, torch::kBool), what));
    return torch::cat(all).any().item<bool>();
  }

 private:
  const int rank_;
  Turns& turns_;
  at::Generator generator_;
  int64_t calls_ = 0;
};

}  // namespace

void RunInLockstep(int size, const std::function<void(ProcessGroup&)>& process) {
  Turns turns(size);
  at::Generator generator = at::globalContext().defaultGenerator(torch::kCPU);
  const torch::Tensor begin = generator.get_state();
  const int threads = at::get_num_threads();
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < size; ++rank) {
    ranks.emplace_back([&, rank] {
      turns.WaitFor(rank);
      at::set_num_threads(threads);
      generator.set_state(begin);
      Lockstep group(rank, turns);
      process(group);
      turns.End(rank);
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

}  // namespace cmerc
