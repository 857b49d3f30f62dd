// How the work on the conversations of a batch is divided among threads. The division does not
// depend on their number, so that sums over blocks are the same bits for any.
#ifndef CMERC_BACKBONES_M3NET_CONVERSATION_BLOCKS_H_
#define CMERC_BACKBONES_M3NET_CONVERSATION_BLOCKS_H_

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace cmerc {

class ConversationBlocks {
 public:
  struct Conversation {
    int64_t number;      // in the batch
    int64_t first_row;   // among all N utterances
    int64_t length;      // n
    int64_t first_pair;  // sum of n^2 of those before
    int64_t first_block;
    int64_t num_blocks;
    int64_t block_size;  // utterances of a block; the last one may have fewer

    bool whole() const { return num_blocks == 1; }
  };

  // lengths: [B] int64, contiguous on the CPU.
  ConversationBlocks(const int64_t* lengths, int64_t num_conversations) {
    Conversation next{};
    for (int64_t b = 0; b < num_conversations; ++b) {
      next.number = b;
      next.length = lengths[b];
      next.block_size = next.length <= kWhole ? next.length : kBlock;
      next.num_blocks = (next.length + next.block_size - 1) / next.block_size;
      conversations_.push_back(next);
      next.first_row += next.length;
      next.first_pair += next.length * next.length;
      next.first_block += next.num_blocks;
    }
    num_rows_ = next.first_row;
    num_pairs_ = next.first_pair;
    num_blocks_ = next.first_block;
  }

  int64_t num_rows() const { return num_rows_; }      // N
  int64_t num_pairs() const { return num_pairs_; }    // sum of n^2
  int64_t num_blocks() const { return num_blocks_; }  // of all conversations

  // Calls f for all conversations: long ones one by one, and the others in parallel, with about the
  // same to do for every thread.
  template <typename F>
  void ForEachConversation(const F& f) const {
    std::vector<const Conversation*> whole;
    std::vector<int64_t> cost(1, 0);  // of all before
    for (const Conversation& c : conversations_) {
      if (c.whole()) {
        whole.push_back(&c);
        cost.push_back(cost.back() + c.length * (c.length + kRowCost));
      } else {
        f(c);
      }
    }
    const int64_t parts = at::get_num_threads();
    at::parallel_for(0, parts, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      for (size_t i = 0; i < whole.size(); ++i) {
        // By the middle of the conversation's share of the whole cost.
        const int64_t part = (cost[i] + cost[i + 1]) * parts / (2 * cost.back());
        if (part >= begin && part < end) f(*whole[i]);
      }
    });
  }

  // Calls f(k, block, first, last) for k < count and all blocks of a conversation, utterances
  // [first, last) each: in parallel unless it is whole.
  template <typename F>
  static void ForEachBlock(const Conversation& c, int64_t count, const F& f) {
    at::parallel_for(
        0, count * c.num_blocks, c.whole() ? count : 1, [&](int64_t begin, int64_t end) {
          for (int64_t task = begin; task < end; ++task) {
            const int64_t block = task % c.num_blocks;
            const int64_t first = block * c.block_size;
            f(task / c.num_blocks, block, first, std::min(first + c.block_size, c.length));
          }
        });
  }

 private:
  // A longer conversation is divided.
  static constexpr int64_t kWhole = 128;
  static constexpr int64_t kBlock = 64;
  // What an utterance costs beside its pairs with others, in pairs.
  static constexpr int64_t kRowCost = 64;

  std::vector<Conversation> conversations_;
  int64_t num_rows_ = 0;
  int64_t num_pairs_ = 0;
  int64_t num_blocks_ = 0;
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_CONVERSATION_BLOCKS_H_
