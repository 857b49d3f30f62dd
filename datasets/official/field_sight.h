// What a field of a pickle seems to hold, from a look at its first conversations.
#ifndef CMERC_DATASETS_OFFICIAL_FIELD_SIGHT_H_
#define CMERC_DATASETS_OFFICIAL_FIELD_SIGHT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/official/budget.h"
#include "storage/pickle/pickle.h"

namespace cmerc::datasets {

struct FieldSight {
  enum class Kind {
    kNothing,          // no conversation, or none with an utterance
    kTexts,            // per utterance a text
    kTokens,           // a list of texts
    kNumbers,          // an integer, or a float that is one
    kReals,            // another number
    kOneHot,           // a single 1 among zeros
    kVectors,          // another vector, of the same width in each
    kFrames,           // a matrix, or vectors of unequal widths
    kPerConversation,  // a text or a number for a whole conversation
    kOther,
  };

  std::string path;  // as options give it: "3"
  Kind kind = Kind::kNothing;
  std::string what;   // for people: "dict of 12 ('a', 'b', ...): per utterance a vector of 6, ..."
  int64_t width = 0;  // kOneHot, kVectors
  bool integral = false;         // kVectors: all numbers that were looked at are integers
  int64_t entries = 0;           // utterances that were looked at
  int64_t distinct = 0;          // kTexts, kNumbers: how many different ones they have
  int64_t words = 0;             // kTexts: in all of them
  double smallest = 0;           // kNumbers
  std::vector<int64_t> lengths;  // utterances of each conversation that was looked at
};

// How many conversations a look takes in that only tells layouts apart, and one for people.
constexpr size_t kGlanceConversations = 3;
constexpr size_t kSightConversations = 50;

// Looks at a field: a dict from conversation id to utterances, or anything else.
FieldSight SightOf(const pickle::Document& document, const std::string& path,
                   const pickle::Value& field, size_t most_conversations);

// As SightOf(), for what each of these conversations holds in a field; null where it has none.
FieldSight SightOf(const pickle::Document& document, const std::string& path,
                   const std::vector<const pickle::Value*>& conversations);

// Returns "dict of 12 ('Ses01F', 'Ses01M', ...)", "list of 3 ('a', 'b', 'c')", "None".
std::string Glance(const pickle::Value& value);

// Returns the first entry of an utterance that is not None, in a dict from conversation id to
// utterances; nullptr when there is none or the values are numeric arrays.
const pickle::Value* FirstEntry(const pickle::Value& field);

// Whether a field holds one number per utterance (labels), as opposed to a vector (features).
bool HoldsNumbers(const pickle::Value& field);

// Whether `value` is a list, tuple, set or array of conversation ids, of which `known`, a dict, has
// half or more as its keys; none twice where they are numbers, which labels are as well. What is
// read is spent; false, too, where that is more than the budget allows.
bool IsListOfIds(const pickle::Document& document, const pickle::Value& value,
                 const pickle::Value& known, Budget* budget);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_FIELD_SIGHT_H_
