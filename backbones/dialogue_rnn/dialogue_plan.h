// The order in which DialogueRNN's recurrence visits the utterances of many conversations, and
// which states each of them reads.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_PLAN_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_PLAN_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace cmerc {

// A position is an utterance: first come all conversations' first utterances in a direction, then
// all second ones, ..., the longest conversations first. So at each step the conversations that are
// still running, or some neighbors among them, are a block of rows.
struct DialoguePlan {
  struct Conversation {
    int64_t number;     // in the order given
    int64_t first_row;  // of its utterances, in time order
    int64_t length;     // n >= 1
  };

  struct Direction {
    std::vector<int64_t> row;  // [N], the row of the utterance at each position
    // The states of parties are numbered: first the speaker's new state at each position, then the
    // new states of listeners. -1 is the state that a party starts from, zero.
    std::vector<int64_t> source;  // [N], the speaker's state before the step
    // The listeners at a position are first_listener[position] to first_listener[position + 1] - 1:
    // all parties but the speaker that speak later on. Others' states are never read.
    std::vector<int64_t> first_listener;     // [N + 1]
    std::vector<int64_t> listener_source;    // [L], the listener's state before the step
    std::vector<int64_t> listener_position;  // [L], the position that is listened to
  };

  // The entries [first, last) of `conversations`.
  struct Ranks {
    int64_t first;
    int64_t last;
  };
  // The rows [first, first + count) of a matrix.
  struct Block {
    int64_t first;
    int64_t count;
  };

  // There is at least one length, each is >= 1, and their sum is N; speakers [N] lie conversation
  // after conversation. Without `listeners` the lists of listeners are empty.
  DialoguePlan(absl::Span<const int64_t> lengths, absl::Span<const int64_t> speakers,
               bool listeners);

  int64_t num_steps() const { return static_cast<int64_t>(first_position.size()) - 1; }
  int64_t num_positions() const { return first_position.back(); }  // N

  // The positions of these conversations at a step; none of those that are over by then.
  Block PositionsAt(int64_t step, const Ranks& ranks) const;

  // Where the conversations are those of `copies` copies, one copy after the other, with the same
  // lengths and speakers: the number that the state of a party has in a plan of the first copy
  // alone, [N + L] for the N + L states of these copies; of the first N, that is the position.
  std::vector<int64_t> StatesInFirstCopy(int64_t direction, int64_t copies) const;

  std::vector<Conversation> conversations;  // longest first
  std::vector<int64_t> first_position;      // [longest + 1], the first position of each step
  // Attention has a number for every position and step before it. [N]: where those of a position
  // begin.
  std::vector<int64_t> first_past;
  int64_t num_past = 0;                 // how many numbers these are
  std::array<Direction, 2> directions;  // forward, backward
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_DIALOGUE_PLAN_H_
