// Where the conversations of a file are, whatever its layout.
#ifndef CMERC_DATASETS_OFFICIAL_CONVERSATION_INDEX_H_
#define CMERC_DATASETS_OFFICIAL_CONVERSATION_INDEX_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "datasets/official/budget.h"
#include "datasets/official/conversation_id.h"
#include "datasets/official/official_layout.h"
#include "storage/pickle/pickle.h"

namespace cmerc::datasets {

// Files have one of three arrangements:
//   tables                (labels {id: [...]}, text {id: [...]}, ..., train ids, test ids)
//   tables of each split  {"train": {"labels": {id: [...]}, ...}, "test": {...}}
//   conversations         {"train": [{"vid": id, "labels": [...], ...}, ...], "test": [...]}
//                         or {"train": {id: {"labels": [...], ...}, ...}, ...}
// What the layout's `train` leads to says which; without `train` they are tables.
class ConversationIndex {
 public:
  // `document` must outlive what is returned. InvalidArgument: it does not have what the layout
  // says; the message names the file and the field.
  static absl::StatusOr<ConversationIndex> Make(const pickle::Document& document,
                                                const OfficialLayout& layout, Budget* budget);

  // Returns the ids of the layout's train, valid or test, in order. An id that two splits have is
  // "SPLIT/ID" in both, since those are different conversations. InvalidArgument: in tables, it is
  // not a list of ids; the message begins with the name of the file or with what is wrong.
  absl::StatusOr<std::vector<ConversationId>> Ids(const std::string& field, Budget* budget) const;

  // Returns what a field holds of a conversation, or nullptr where it has no such conversation.
  const pickle::Value* Find(const std::string& field, const ConversationId& id) const;

  // Returns how Python gets at a field: data[2], conversation["labels"], data["train"]["labels"].
  std::string NameOf(const std::string& field) const;

  // Returns the ids of all conversations, whether a split names them or not.
  std::vector<ConversationId> AllIds(Budget* budget) const;

  // Returns what is wrong with lists of conversations that the layout neither reads nor calls
  // unused: a sentence each.
  std::vector<std::string> UnreadLists() const;

 private:
  enum class Arrangement { kTables, kTablesOfSplits, kConversations };
  struct Entry {
    const pickle::Value* holder;  // the conversation, or the tables of its split
    ConversationId id;            // in the file
  };

  ConversationIndex(const pickle::Document& document, const OfficialLayout& layout)
      : document_(&document), layout_(layout) {}

  absl::Status Arrange(Budget* budget);
  absl::Status CheckTables() const;
  absl::Status AddSplit(const std::string& field, Budget* budget);
  absl::Status AddConversations(const std::string& field, const pickle::Value& split,
                                Budget* budget);
  // Gives the conversations their ids: those of the file, with the split in front where two splits
  // share one.
  void NameConversations();

  const pickle::Document* document_;
  OfficialLayout layout_;
  Arrangement arrangement_ = Arrangement::kTables;
  std::map<std::string, std::vector<Entry>> splits_;        // by field; not for kTables
  std::map<std::string, std::vector<ConversationId>> ids_;  // parallel to splits_
  std::map<ConversationId, Entry> entries_;
};

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_CONVERSATION_INDEX_H_
