// What a file names its conversations by.
#ifndef CMERC_DATASETS_OFFICIAL_CONVERSATION_ID_H_
#define CMERC_DATASETS_OFFICIAL_CONVERSATION_ID_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "datasets/official/budget.h"
#include "storage/pickle/pickle.h"

namespace cmerc::datasets {

// A file names a conversation by a number or by a text.
struct ConversationId {
  std::string text;      // decimal where the file has a number
  bool numeric = false;  // whether the file has a number
  int64_t number = 0;

  // Returns the id as messages show it: 275, 'Ses01F_impro01'.
  std::string ToString() const;
};

// Numbers before texts, each in ascending order.
bool operator<(const ConversationId& a, const ConversationId& b);
bool operator==(const ConversationId& a, const ConversationId& b);

// Returns the id that a text or an integer is. InvalidArgument: it is neither, or more than the
// budget allows; the message begins with the name of the file or with what is wrong.
absl::StatusOr<ConversationId> ReadId(const pickle::Document& document, const pickle::Value& value,
                                      Budget* budget);

// Returns the ids of a list, tuple, array or dict (its keys) in its order, or of a set in ascending
// order.
// InvalidArgument as above; also where `value` is nothing of these.
absl::StatusOr<std::vector<ConversationId>> ReadIds(const pickle::Document& document,
                                                    const pickle::Value& value, Budget* budget);

// Returns the value of this id in a dict, nullptr where it has none.
const pickle::Value* FindById(const pickle::Value& dict, const ConversationId& id);

// Returns the first ids of a list: "'a', 'b', 'c' and 4 more".
std::string SomeIds(const std::vector<ConversationId>& ids);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_CONVERSATION_ID_H_
