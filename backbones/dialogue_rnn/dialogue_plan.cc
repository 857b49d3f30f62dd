#include "backbones/dialogue_rnn/dialogue_plan.h"

#include <algorithm>
#include <utility>

namespace cmerc {
namespace {

// Someone who takes part in a conversation, on the way through it.
struct Party {
  int64_t speaker;
  int64_t remaining = 0;  // utterances to come
  int64_t state = -1;
};

using Parties = std::vector<Party>;

Parties::iterator Find(Parties& parties, int64_t speaker) {
  return std::find_if(parties.begin(), parties.end(),
                      [&](const Party& party) { return party.speaker == speaker; });
}

DialoguePlan::Direction MakeDirection(const DialoguePlan& plan, absl::Span<const int64_t> speakers,
                                      bool reverse, bool listeners) {
  std::vector<Parties> parties(plan.conversations.size());
  for (size_t k = 0; k < parties.size(); ++k) {
    const DialoguePlan::Conversation& conversation = plan.conversations[k];
    for (const int64_t speaker : speakers.subspan(conversation.first_row, conversation.length)) {
      auto party = Find(parties[k], speaker);
      if (party == parties[k].end()) party = parties[k].insert(party, {speaker});
      ++party->remaining;
    }
  }
  DialoguePlan::Direction direction;
  direction.first_listener.push_back(0);
  for (int64_t step = 0; step < plan.num_steps(); ++step) {
    const int64_t first = plan.first_position[step];
    for (int64_t position = first; position < plan.first_position[step + 1]; ++position) {
      const DialoguePlan::Conversation& conversation = plan.conversations[position - first];
      Parties& all = parties[position - first];
      direction.row.push_back(conversation.first_row +
                              (reverse ? conversation.length - 1 - step : step));
      const auto speaker = Find(all, speakers[direction.row.back()]);
      direction.source.push_back(std::exchange(speaker->state, position));
      --speaker->remaining;
      for (Party& party : all) {
        if (!listeners || party.speaker == speaker->speaker || party.remaining == 0) continue;
        const auto listener = static_cast<int64_t>(direction.listener_source.size());
        direction.listener_source.push_back(
            std::exchange(party.state, plan.num_positions() + listener));
        direction.listener_position.push_back(position);
      }
      direction.first_listener.push_back(static_cast<int64_t>(direction.listener_source.size()));
    }
  }
  return direction;
}

}  // namespace

DialoguePlan::DialoguePlan(absl::Span<const int64_t> lengths, absl::Span<const int64_t> speakers,
                           bool listeners) {
  int64_t row = 0;
  for (const int64_t length : lengths) {
    conversations.push_back({static_cast<int64_t>(conversations.size()), row, length});
    row += length;
  }
  std::stable_sort(
      conversations.begin(), conversations.end(),
      [](const Conversation& a, const Conversation& b) { return a.length > b.length; });
  first_position.push_back(0);
  auto running = static_cast<int64_t>(conversations.size());
  for (int64_t step = 0; step < conversations[0].length; ++step) {
    while (conversations[running - 1].length <= step) --running;
    first_position.push_back(first_position.back() + running);
    for (int64_t k = 0; k < running; ++k, num_past += step) first_past.push_back(num_past);
  }
  directions = {MakeDirection(*this, speakers, /*reverse=*/false, listeners),
                MakeDirection(*this, speakers, /*reverse=*/true, listeners)};
}

DialoguePlan::Block DialoguePlan::PositionsAt(int64_t step, const Ranks& ranks) const {
  const int64_t running = first_position[step + 1] - first_position[step];
  return {first_position[step] + ranks.first,
          std::max<int64_t>(0, std::min(ranks.last, running) - ranks.first)};
}

std::vector<int64_t> DialoguePlan::StatesInFirstCopy(int64_t direction, int64_t copies) const {
  const Direction& order = directions[direction];
  const int64_t in_copy = static_cast<int64_t>(conversations.size()) / copies;
  // Of each conversation of the first copy, at the current step; its copies have the same length,
  // so that they come after it.
  std::vector<int64_t> position_of(in_copy), listener_of(in_copy);
  int64_t next_position = 0;
  int64_t next_listener = num_positions() / copies;
  std::vector<int64_t> positions, listeners;
  for (int64_t step = 0; step < num_steps(); ++step) {
    const int64_t first = first_position[step];
    for (int64_t position = first; position < first_position[step + 1]; ++position) {
      const int64_t number = conversations[position - first].number;
      const int64_t original = number % in_copy;
      const int64_t count = order.first_listener[position + 1] - order.first_listener[position];
      if (number == original) {
        position_of[original] = next_position++;
        listener_of[original] = std::exchange(next_listener, next_listener + count);
      }
      positions.push_back(position_of[original]);
      for (int64_t i = 0; i < count; ++i) listeners.push_back(listener_of[original] + i);
    }
  }
  positions.insert(positions.end(), listeners.begin(), listeners.end());
  return positions;
}

}  // namespace cmerc
