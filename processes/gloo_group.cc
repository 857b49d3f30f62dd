#include "processes/gloo_group.h"

#include "absl/status/status.h"

#ifdef USE_C10D_GLOO

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <torch/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status.h"
#include "core/torch_status.h"

namespace cmerc {
namespace {

using Gloo = c10d::ProcessGroupGloo;
using GlooPointer = c10::intrusive_ptr<Gloo>;

// Longer than anything takes: a process that is slow is waited for, and the lifelines tell of one
// that is gone.
constexpr std::chrono::milliseconds kNoTimeLimit = std::chrono::hours(24 * 365);

// What each process says of its tensor, as a row of int64.
enum Field { kWhat, kFlag, kType, kAxes, kShape };
constexpr int64_t kMostAxes = 8;
constexpr int64_t kFields = kShape + kMostAxes;

// FNV-1a, so that processes which do not do the same are told and not mixed up.
int64_t Digest(absl::string_view text) {
  uint64_t digest = 0xcbf29ce484222325u;
  for (const char c : text) digest = (digest ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return static_cast<int64_t>(digest);
}

// No signal reaches threads that are started while this exists: the handlers are for the first one,
// and writing to a process that is gone is an error.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

// Work that another thread does, and whose end can be polled for.
struct Running {
  int done = eventfd(0, EFD_CLOEXEC);
  std::exception_ptr error;
  ~Running() {
    if (done >= 0) close(done);
  }
};

// All bytes of a tensor, which is contiguous.
torch::Tensor BytesOf(const torch::Tensor& tensor) {
  return tensor.view({tensor.numel()}).view(torch::kUInt8);
}

// `tensor` of every process; all of the same size.
std::vector<torch::Tensor> Gather(Gloo& gloo, const torch::Tensor& tensor, int size) {
  std::vector<torch::Tensor> inputs = {tensor};
  std::vector<std::vector<torch::Tensor>> outputs(1);
  for (int rank = 0; rank < size; ++rank) outputs[0].push_back(torch::empty_like(tensor));
  gloo.allgather(outputs, inputs)->wait();
  return std::move(outputs[0]);
}

torch::Tensor RowOf(const torch::Tensor& mine, absl::string_view what, bool flag) {
  torch::Tensor row = torch::zeros({kFields}, torch::kInt64);
  int64_t* const fields = row.data_ptr<int64_t>();
  fields[kWhat] = Digest(what);
  fields[kFlag] = flag ? 1 : 0;
  fields[kType] = static_cast<int64_t>(mine.scalar_type());
  fields[kAxes] = mine.dim();
  for (int64_t axis = 0; axis < mine.dim(); ++axis) fields[kShape + axis] = mine.size(axis);
  return row;
}

// "float [3, 2]".
std::string Describe(const torch::Tensor& row) {
  const int64_t* const fields = row.data_ptr<int64_t>();
  const std::vector<int64_t> shape(fields + kShape, fields + kShape + fields[kAxes]);
  return absl::StrCat(c10::toString(static_cast<torch::ScalarType>(fields[kType])), " [",
                      absl::StrJoin(shape, ", "), "]");
}

// The same in all processes, as all see the same rows.
absl::Status CheckRows(const std::vector<torch::Tensor>& rows, absl::string_view what) {
  const int64_t* const first = rows[0].data_ptr<int64_t>();
  for (size_t rank = 1; rank < rows.size(); ++rank) {
    const int64_t* const fields = rows[rank].data_ptr<int64_t>();
    if (fields[kWhat] != first[kWhat]) {
      return absl::InternalError(absl::StrCat(
          "ranks 0 and ", rank, " are not at the same place: this process is at ", what));
    }
    for (int64_t field = kType; field < kFields; ++field) {
      if (field == kShape || fields[field] == first[field]) continue;
      return absl::InvalidArgumentError(absl::StrCat(what, ": rank 0 has ", Describe(rows[0]),
                                                     " and rank ", rank, " ", Describe(rows[rank]),
                                                     "; only the first axis may differ"));
    }
  }
  return absl::OkStatus();
}

// The tensors that the rows describe, of which `mine` is one.
std::vector<torch::Tensor> GatherData(Gloo& gloo, const torch::Tensor& mine,
                                      const std::vector<torch::Tensor>& rows) {
  std::vector<int64_t> lengths;
  lengths.reserve(rows.size());
  for (const torch::Tensor& row : rows) lengths.push_back(row.data_ptr<int64_t>()[kShape]);
  std::vector<int64_t> shape = mine.sizes().vec();
  shape[0] = *std::max_element(lengths.begin(), lengths.end());
  // Gloo wants as much of everybody.
  torch::Tensor padded = mine;
  if (mine.size(0) < shape[0]) {
    padded = torch::empty(shape, mine.options());
    if (mine.numel() > 0) std::memcpy(padded.data_ptr(), mine.data_ptr(), mine.nbytes());
    std::memset(static_cast<char*>(padded.data_ptr()) + mine.nbytes(), 0,
                padded.nbytes() - mine.nbytes());
  }
  std::vector<torch::Tensor> all(rows.size());
  if (padded.numel() > 0) {
    const std::vector<torch::Tensor> bytes =
        Gather(gloo, BytesOf(padded), static_cast<int>(rows.size()));
    for (size_t rank = 0; rank < all.size(); ++rank) {
      all[rank] = bytes[rank].view(mine.scalar_type()).view(shape).narrow(0, 0, lengths[rank]);
    }
    return all;
  }
  for (size_t rank = 0; rank < all.size(); ++rank) {
    shape[0] = lengths[rank];
    all[rank] = torch::empty(shape, mine.options());
  }
  return all;
}

class GlooGroup : public ProcessGroup {
 public:
  GlooGroup(int rank, int size, std::unique_ptr<Lifelines> lifelines)
      : rank_(rank), size_(size), lifelines_(std::move(lifelines)) {}
  ~GlooGroup() override {
    lifelines_->Leave(completed_);
    // Threads of Gloo may still wait for what will never come, and its destructor for them.
    if (!failed_.ok() && gloo_) gloo_.release();
  }

  // Connects by Gloo too.
  absl::Status Connect(const c10::intrusive_ptr<c10d::Store>& store) {
    auto made = std::make_shared<GlooPointer>();
    const std::string address = lifelines_->address();
    RETURN_IF_ERROR(Watched(
        [made, store, address, rank = rank_, size = size_] {
          auto options = Gloo::Options::create(kNoTimeLimit);
          options->devices.push_back(Gloo::createDeviceForHostname(address));
          options->threads = 1;
          *made = c10::make_intrusive<Gloo>(store, rank, size, options);
        },
        "the start"));
    gloo_ = *made;
    return absl::OkStatus();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  absl::StatusOr<std::vector<torch::Tensor>> AllGather(const torch::Tensor& mine,
                                                       absl::string_view what) override {
    if (mine.dim() == 0 || mine.dim() > kMostAxes || !mine.device().is_cpu()) {
      return absl::InvalidArgumentError(absl::StrCat(what, ": want a tensor on the CPU of 1 to ",
                                                     kMostAxes, " axes, not of ", mine.dim()));
    }
    struct Gathered {
      absl::Status status;
      std::vector<torch::Tensor> all;
    };
    auto gathered = std::make_shared<Gathered>();
    const torch::Tensor tensor = mine.detach().contiguous();
    const torch::Tensor row = RowOf(tensor, what, false);
    RETURN_IF_ERROR(Watched(
        [gathered, tensor, row, gloo = gloo_, size = size_, text = std::string(what)] {
          const torch::NoGradGuard no_grad;
          const std::vector<torch::Tensor> rows = Gather(*gloo, row, size);
          gathered->status = CheckRows(rows, text);
          if (gathered->status.ok()) gathered->all = GatherData(*gloo, tensor, rows);
        },
        what));
    RETURN_IF_ERROR(gathered->status);
    return std::move(gathered->all);
  }

  absl::StatusOr<bool> Any(bool mine, absl::string_view what) override {
    auto rows = std::make_shared<std::vector<torch::Tensor>>();
    const torch::Tensor row = RowOf(torch::empty({0}), what, mine);
    RETURN_IF_ERROR(Watched(
        [rows, row, gloo = gloo_, size = size_] { *rows = Gather(*gloo, row, size); }, what));
    RETURN_IF_ERROR(CheckRows(*rows, what));
    for (const torch::Tensor& its : *rows) {
      if (its.data_ptr<int64_t>()[kFlag] != 0) return true;
    }
    return false;
  }

 private:
  // Does `work`, which waits for the other processes, in a thread of its own, and watches them
  // meanwhile. Where one is gone the thread is left to itself: it may never end, and `work` must
  // own what it uses.
  absl::Status Watched(std::function<void()> work, absl::string_view what) {
    if (!failed_.ok()) return failed_;
    const int64_t call = completed_ + 1;
    auto running = std::make_shared<Running>();
    if (running->done < 0) {
      return absl::UnavailableError(absl::StrCat(what, ": eventfd: ", std::strerror(errno)));
    }
    std::thread thread;
    {
      const SignalsBlocked blocked;
      RETURN_IF_ERROR(CatchTorch([&] {
        thread = std::thread([running, work = std::move(work)]() mutable {
          try {
            work();
          } catch (...) {
            running->error = std::current_exception();
          }
          // What it holds goes before the end is told.
          work = nullptr;
          eventfd_write(running->done, 1);
        });
      }));
    }
    failed_ = lifelines_->WaitFor(running->done, call, what);
    if (!failed_.ok()) {
      thread.detach();
      return failed_;
    }
    thread.join();
    const absl::Status status = CatchTorch([&] {
      if (running->error != nullptr) std::rethrow_exception(running->error);
    });
    if (absl::IsResourceExhausted(status)) return failed_ = status;
    if (!status.ok()) {
      return failed_ = lifelines_->WhyFailed(call, what, std::string(status.message()));
    }
    completed_ = call;
    return absl::OkStatus();
  }

  const int rank_, size_;
  const std::unique_ptr<Lifelines> lifelines_;
  GlooPointer gloo_;
  absl::Status failed_;
  int64_t completed_ = 0;  // calls of Watched()
};

}  // namespace

absl::StatusOr<std::unique_ptr<ProcessGroup>> MakeGlooGroup(int rank, const Meeting& meeting,
                                                            std::unique_ptr<Lifelines> lifelines) {
  auto group = std::make_unique<GlooGroup>(rank, static_cast<int>(meeting.members.size()),
                                           std::move(lifelines));
  RETURN_IF_ERROR(group->Connect(meeting.store));
  return group;
}

}  // namespace cmerc

#else

namespace cmerc {

absl::StatusOr<std::unique_ptr<ProcessGroup>> MakeGlooGroup(int, const Meeting&,
                                                            std::unique_ptr<Lifelines>) {
  return absl::FailedPreconditionError(
      "this cmerc was built with a LibTorch whose headers of Gloo are not there, and trains on one "
      "process; build it with Debian's libtorch-dev and libgloo-dev (tools/setup.sh)");
}

}  // namespace cmerc

#endif
