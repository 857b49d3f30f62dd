// Conversations of thousands of utterances, without gradients: the same numbers as with them, which
// are computed from all pairs at once, in memory that is far from that of all pairs.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "backbones/dialogue_gcn/dialogue_gcn.pb.h"
#include "backbones/dialogue_rnn/dialogue_rnn.pb.h"
#include "backbones/evidential/evidential.pb.h"
#include "backbones/gru/gru.pb.h"
#include "backbones/m3net/m3net.pb.h"
#include "backbones/mmgcn/mmgcn.pb.h"
#include "backbones/transformer/transformer.pb.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;

// LibTorch's allocator for the CPU, which counts. The size of a block stands in front of it.
class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) const override {
    const auto bytes = static_cast<int64_t>(size);
    char* const begin = static_cast<char*>(c10::alloc_cpu(size + kFront));
    std::memcpy(begin, &bytes, sizeof(bytes));
    Raise(peak_, used_ += bytes);
    Raise(largest_, bytes);
    return {begin + kFront, begin + kFront, &Free, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }

  // From now on.
  static void Start() {
    start_ = used_.load();
    peak_ = used_.load();
    largest_ = 0;
  }
  static int64_t peak() { return peak_ - start_; }  // bytes at once, since Start()
  static int64_t largest() { return largest_; }     // bytes of a tensor

 private:
  static constexpr size_t kFront = 64;  // keeps what follows aligned

  static void Raise(std::atomic<int64_t>& most, int64_t value) {
    for (int64_t now = most; value > now && !most.compare_exchange_weak(now, value);) {
    }
  }
  static void Free(void* data) {
    char* const begin = static_cast<char*>(data) - kFront;
    int64_t bytes = 0;
    std::memcpy(&bytes, begin, sizeof(bytes));
    used_ -= bytes;
    c10::free_cpu(begin);
  }

  static inline std::atomic<int64_t> used_{0}, peak_{0}, largest_{0}, start_{0};
};

// Before LibTorch allocates anything: what it frees must be of this allocator.
const bool kCounts = [] {
  c10::SetCPUAllocator(new CountingAllocator, /*priority=*/1);
  return true;
}();

template <typename Options>
std::unique_ptr<Backbone> Make(const std::string& text) {
  Options options;
  TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(text, &options), text);
  auto model = CreateBackbone(options, SmallInfo());
  TORCH_CHECK(model.ok(), model.status().ToString());
  (*model)->eval();
  return *std::move(model);
}

struct Case {
  const char* name;
  std::unique_ptr<Backbone> (*make)();
  // Bytes of memory for each pair of utterances, beside blocks of 2^22 numbers.
  int64_t bytes_per_pair;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

const Case kCases[] = {
    {"Gru", [] { return Make<GruOptions>("hidden_width: 3 linear_width: 4"); }, 0},
    {"Evidential", [] { return Make<EvidentialOptions>("hidden_width: 3"); }, 0},
    {"DialogueRnn",
     [] {
       return Make<DialogueRnnOptions>(
           "global_width: 3 party_width: 2 emotion_width: 3 linear_width: 4 listener_state: true");
     },
     0},
    {"DialogueGcn",
     [] {
       return Make<DialogueGcnOptions>(
           "hidden_width: 2 graph_width: 3 num_bases: 2 nodal_attention: true");
     },
     0},
    {"M3Net",
     [] { return Make<M3NetOptions>("input_width: 6 graph_width: 5 high_frequency_layers: 2"); },
     0},
    {"Transformer",
     [] { return Make<TransformerOptions>("hidden_width: 8 num_heads: 2 feed_forward_width: 5"); },
     0},
    // The similarities of each of two modalities, in float32.
    {"Mmgcn", [] { return Make<MmgcnOptions>("input_width: 6 graph_width: 5 graph_layers: 2"); },
     8},
};

// Float32 sums of the same numbers in another order differ by some 1e-6 here.
constexpr double kReordered = 1e-5;

class LongConversationsTest : public testing::TestWithParam<Case> {};

TEST_P(LongConversationsTest, TheSameNumbersAsWithGradients) {
  const auto model = GetParam().make();
  const Batch batch = SmallBatch({2900, 40}, SmallInfo());
  Batch view = batch;  // without the context of the same speaker
  view.context = batch.speakers.unsqueeze(2) != batch.speakers.unsqueeze(1);
  view.context.diagonal(0, 1, 2).fill_(true);
  view.context.logical_and_(batch.context);
  for (const Batch& one : {batch, view}) {
    const Prediction with = Predict(*model, one);
    const torch::NoGradGuard no_grad;
    const Prediction without = Predict(*model, one);
    // A matrix product of another height may add up in another order.
    EXPECT_LE(MaxDifference(without.log_probs, with.log_probs.detach()), kReordered);
    EXPECT_LE(MaxDifference(without.features, with.features.detach()), kReordered);
  }
}

TEST_P(LongConversationsTest, MemoryIsNotThatOfAllPairs) {
  constexpr int64_t kLength = 5000;
  constexpr int64_t kPairs = kLength * kLength;
  const auto model = GetParam().make();
  ASSERT_TRUE(kCounts);
  CountingAllocator::Start();
  const Batch batch = SmallBatch({kLength}, SmallInfo());
  const torch::NoGradGuard no_grad;
  const Tensor log_probs = Predict(*model, batch).log_probs;
  // A block in the several tensors of an expression, of float64 too, and what is linear.
  constexpr int64_t kBlock = (int64_t{1} << 22) * sizeof(double);
  const int64_t bytes_per_pair = GetParam().bytes_per_pair;
  EXPECT_LE(CountingAllocator::peak(), bytes_per_pair * kPairs + 8 * kBlock);
  // Not even a bit for each pair in a byte, if there is nothing of the kind.
  if (bytes_per_pair == 0) {
    EXPECT_LT(CountingAllocator::largest(), kPairs);
  }
  // A context that is written out says the same.
  Batch written = batch;
  written.context = batch.context.contiguous();
  EXPECT_TRUE(torch::equal(Predict(*model, written).log_probs, log_probs));
}

INSTANTIATE_TEST_SUITE_P(All, LongConversationsTest, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

}  // namespace
}  // namespace cmerc
