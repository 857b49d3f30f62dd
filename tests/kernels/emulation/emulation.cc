#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "tests/kernels/emulation/cuda_runtime_api.h"

namespace cmerc {

EmulatedIndex threadIdx, blockIdx;

namespace {

constexpr unsigned kWarp = 32;
constexpr size_t kStack = 1 << 16;

// Where all threads of a group that have not ended meet.
struct Barrier {
  unsigned alive = 0;
  unsigned arrived = 0;
  unsigned passed = 0;  // how often they have met

  void Check() {
    if (alive == 0 || arrived < alive) return;
    arrived = 0;
    ++passed;
  }
};

struct Thread {
  ucontext_t context;
  std::unique_ptr<char[]> stack = std::make_unique<char[]>(kStack);
  bool ended = false;
  float shuffled = 0;  // what it offers to its warp
};

void RunThread();

// Where it ends, `next` goes on.
void Prepare(Thread& thread, ucontext_t* next) {
  thread.ended = false;
  getcontext(&thread.context);
  thread.context.uc_stack.ss_sp = thread.stack.get();
  thread.context.uc_stack.ss_size = kStack;
  thread.context.uc_link = next;
  makecontext(&thread.context, RunThread, 0);
}

struct Block {
  const std::function<void()>* kernel = nullptr;
  ucontext_t scheduler;
  std::vector<Thread> threads;
  Barrier of_block;
  std::vector<Barrier> of_warps;
  unsigned current = 0;  // the thread that runs

  Barrier& warp() { return of_warps[current / kWarp]; }
  void Wait(Barrier& barrier) {
    const unsigned before = barrier.passed;
    ++barrier.arrived;
    barrier.Check();
    while (barrier.passed == before) Yield();
  }
  void Run(std::mt19937& random) {
    const auto size = static_cast<unsigned>(threads.size());
    of_block = Barrier();
    of_block.alive = size;
    Barrier of_warp;
    of_warp.alive = kWarp;
    of_warps.assign(size / kWarp, of_warp);
    for (Thread& thread : threads) Prepare(thread, &scheduler);
    std::vector<unsigned> order(size);
    for (unsigned t = 0; t < size; ++t) order[t] = t;
    while (of_block.alive > 0) {
      std::shuffle(order.begin(), order.end(), random);
      for (const unsigned t : order) {
        if (threads[t].ended) continue;
        current = threadIdx.x = t;
        swapcontext(&scheduler, &threads[t].context);
      }
    }
  }
  void Yield() { swapcontext(&threads[current].context, &scheduler); }
  void End() {
    threads[current].ended = true;
    for (Barrier* barrier : {&of_block, &warp()}) {
      --barrier->alive;
      barrier->Check();
    }
  }
};

Block* running = nullptr;

void RunThread() {
  (*running->kernel)();
  running->End();
}

}  // namespace

void __syncthreads() { running->Wait(running->of_block); }

float __shfl_xor_sync(unsigned /*mask*/, float value, int lanes) {
  const unsigned me = running->current;
  Barrier& warp = running->warp();
  running->threads[me].shuffled = value;
  running->Wait(warp);
  const float result = running->threads[me ^ static_cast<unsigned>(lanes)].shuffled;
  running->Wait(warp);
  return result;
}

void Emulate(int64_t blocks, int threads, const std::function<void()>& kernel) {
  Block block;
  block.kernel = &kernel;
  block.threads = std::vector<Thread>(threads);
  running = &block;
  std::mt19937 random(1);
  for (int64_t b = 0; b < blocks; ++b) {
    blockIdx.x = static_cast<unsigned>(b);
    block.Run(random);
  }
  running = nullptr;
}

}  // namespace cmerc
