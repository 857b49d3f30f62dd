// Conversations of thousands of utterances, without gradients: the same numbers as with them, which
// are computed from all pairs at once, in memory that is far from that of all pairs.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "backbones/dialogue_gcn/dialogue_gcn.pb.h"
#include "backbones/dialogue_rnn/dialogue_rnn.pb.h"
#include "backbones/gru/gru.pb.h"
#include "backbones/m3net/m3net.pb.h"
#include "backbones/mmgcn/mmgcn.pb.h"
#include "backbones/transformer/transformer.pb.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;

// LibTorch's allocator for the CPU, which counts.
class CountingAllocator final : public c10::Allocator {
 public:
  CountingAllocator() : allocator_(*c10::GetCPUAllocator()) {}

  c10::DataPtr allocate(size_t size) const override {
    auto block = std::make_unique<Block>(Block{this, size, allocator_.allocate(size)});
    const int64_t now = used_ += static_cast<int64_t>(size);
    for (int64_t peak = peak_; now > peak && !peak_.compare_exchange_weak(peak, now);) {
    }
    for (int64_t most = largest_;
         static_cast<int64_t>(size) > most &&
         !largest_.compare_exchange_weak(most, static_cast<int64_t>(size));) {
    }
    void* const data = block->memory.get();
    return {data, block.release(), &Free, c10::Device(c10::DeviceType::CPU)};
  }

  // From now on.
  void Start() {
    peak_ = used_.load();
    start_ = used_.load();
    largest_ = 0;
  }
  int64_t peak() const { return peak_ - start_; }      // bytes at once, since Start()
  int64_t largest() const { return largest_.load(); }  // bytes of a tensor

 private:
  struct Block {
    const CountingAllocator* allocator;
    size_t size;
    c10::DataPtr memory;
  };
  static void Free(void* context) {
    const std::unique_ptr<Block> block(static_cast<Block*>(context));
    block->allocator->used_ -= static_cast<int64_t>(block->size);
  }

  c10::Allocator& allocator_;
  mutable std::atomic<int64_t> used_{0}, peak_{0}, largest_{0};
  int64_t start_ = 0;
};

CountingAllocator& Allocator() {
  static auto* allocator = [] {
    auto* made = new CountingAllocator;
    c10::SetCPUAllocator(made, /*priority=*/1);
    return made;
  }();
  return *allocator;
}

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
    {"M3NetTransformer",
     [] {
       return Make<M3NetOptions>(
           "input_width: 8 graph_width: 5 high_frequency_layers: 1 text_encoder: TRANSFORMER");
     },
     0},
    {"MmgcnOfficialTransformer",
     [] {
       return Make<MmgcnOptions>(
           "input_width: 8 graph_width: 5 graph_layers: 1 encoder: TRANSFORMER semantics: "
           "OFFICIAL");
     },
     8},
    {"Transformer",
     [] { return Make<TransformerOptions>("hidden_width: 8 num_heads: 2 feed_forward_width: 5"); },
     0},
    // The similarities of each of two modalities, in float32.
    {"Mmgcn", [] { return Make<MmgcnOptions>("input_width: 6 graph_width: 5 graph_layers: 2"); },
     8},
};

class LongConversationsTest : public testing::TestWithParam<Case> {};

TEST_P(LongConversationsTest, TheSameBitsAsWithGradients) {
  const auto model = GetParam().make();
  const Batch batch = SmallBatch({4200, 40}, SmallInfo());
  Batch view = batch;  // without the context of the same speaker
  view.context = batch.speakers.unsqueeze(2) != batch.speakers.unsqueeze(1);
  view.context.diagonal(0, 1, 2).fill_(true);
  view.context.logical_and_(batch.context);
  for (const Batch& one : {batch, view}) {
    const Prediction with = Predict(*model, one);
    const torch::NoGradGuard no_grad;
    const Prediction without = Predict(*model, one);
    EXPECT_TRUE(torch::equal(without.log_probs, with.log_probs.detach()));
    EXPECT_TRUE(torch::equal(without.features, with.features.detach()));
  }
}

TEST_P(LongConversationsTest, MemoryIsNotThatOfAllPairs) {
  constexpr int64_t kLength = 5000;
  constexpr int64_t kPairs = kLength * kLength;
  const auto model = GetParam().make();
  CountingAllocator& allocator = Allocator();
  allocator.Start();
  const Batch batch = SmallBatch({kLength}, SmallInfo());
  const torch::NoGradGuard no_grad;
  Predict(*model, batch);
  // Some blocks at a time, of float64 too, and what is linear. One number per pair is 100 MB.
  constexpr int64_t kBlock = (int64_t{1} << 22) * sizeof(double);
  const int64_t bytes_per_pair = GetParam().bytes_per_pair;
  EXPECT_LE(allocator.peak(), bytes_per_pair * kPairs + 4 * kBlock);
  // Not even a bit for each pair in a byte, if there is nothing of the kind.
  if (bytes_per_pair == 0) EXPECT_LT(allocator.largest(), kPairs);
}

INSTANTIATE_TEST_SUITE_P(All, LongConversationsTest, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

}  // namespace
}  // namespace cmerc
