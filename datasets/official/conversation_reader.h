// Conversations of official feature files, one after the other, checked and as tensors.
#ifndef CMERC_DATASETS_OFFICIAL_CONVERSATION_READER_H_
#define CMERC_DATASETS_OFFICIAL_CONVERSATION_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/dataset.h"
#include "core/problems.h"
#include "datasets/official/official_file.h"
#include "datasets/official/official_pickles.pb.h"
#include "datasets/official/official_splits.h"
#include "datasets/official/speaker_table.h"
#include "torch/types.h"

namespace cmerc::datasets {

class ConversationReader {
 public:
  // All arguments must outlive this. What is wrong with the files is added to `problems`.
  ConversationReader(const OfficialFiles& files, const OfficialPicklesOptions& options,
                     Problems* problems);

  // Reads a conversation of any split, as the next of the data set.
  void Read(const ConversationId& id);

  // Adds what was missing in all conversations; called after the last one.
  void CheckMissing();

  // Returns the data set's description, and moves its conversations to `conversations`, in the
  // order in which they were read; adds to `warnings` what is only guessed, and which conversations
  // lack a modality. At least one was read, and without a problem. InvalidArgument: FillMissing().
  absl::StatusOr<DatasetInfo> Finish(std::vector<Conversation>* conversations,
                                     std::vector<std::string>* warnings);

 private:
  // Where the features of one modality are: in fields of a file, or in a file of their own.
  struct Source {
    const OfficialFile* file;
    ModalityFile* own;
    std::string modality;
    std::vector<std::string> fields;           // one per stream
    std::string width_from;                    // the conversation that set the width
    std::vector<ConversationId> lacking = {};  // conversations without it, in a file of all
  };

  // A field of a conversation, for messages.
  struct Place {
    const OfficialFile& file;
    const ConversationId& id;
    std::string name;  // "labels", "text"
    std::string field;
  };

  // How sure it is that the data are of the layout's corpus.
  enum class Proof { kNone, kLikeness, kCertain };

  // Adds a source, in place of one of the same modality.
  void AddSource(Source source);

  // Adds "FILE: conversation 275: labels (data[2]) has no utterances, want >= 1".
  void AddProblem(const Place& place, absl::string_view problem);

  // Returns what one of the Read functions makes of a field, or nullopt with a problem.
  template <typename T>
  std::optional<T> ReadField(const Place& place,
                             absl::StatusOr<T> (OfficialFile::*read)(const pickle::Value&) const);

  // Whether a field has an entry for each of the `want` labels; a problem if not.
  bool CheckLength(const Place& place, int64_t length, int64_t want);
  // Says what is wrong where the width is not that of the modality's first conversation.
  std::string WrongWidth(const ConversationId& id, size_t modality, int64_t width);
  void CheckLabels(const Place& place, const std::vector<int64_t>& labels);
  // Sets the labels of a conversation.
  void SetLabels(const std::vector<int64_t>& labels, Conversation* conversation);

  // Reads the speakers of the next conversation: those of the layout's field, or else one for all.
  void ReadSpeakers(const ConversationId& id, std::optional<int64_t> length);

  // Adds which conversations lack a modality, and that -1 may have been meant as a class.
  void WarnOfMissing(std::vector<std::string>* warnings) const;

  Proof ProofOfCorpus() const;
  // Sets the names of classes and of the data set.
  void SetNames(std::vector<std::string>* warnings);

  // Reads the ids of the utterances, where a modality may be by them.
  std::vector<std::string> ReadUtteranceIds(const ConversationId& id,
                                            std::optional<int64_t> length);
  // As ReadStreams(), from a file of the modality's own.
  ConversationFeatures ReadOwnStreams(const ConversationId& id, size_t modality,
                                      std::optional<int64_t> length);

  // Returns what a conversation has of a modality; fewer streams, with a problem, where one is
  // wrong. `length` is the number of utterances, if that is known.
  ConversationFeatures ReadStreams(const ConversationId& id, size_t modality,
                                   std::optional<int64_t> length);
  // Whether there is nothing of a conversation in the fields of a modality; a problem where that
  // holds for some of them.
  bool Lacks(const ConversationId& id, const Source& source);
  // Adds the features of all modalities to the conversation that is read.
  void ReadFeatures(const ConversationId& id, std::optional<int64_t> length,
                    Conversation* conversation);

  const OfficialFiles& files_;
  const OfficialPicklesOptions& options_;
  Problems& problems_;
  std::vector<Source> sources_;             // per modality
  std::vector<std::string> utterance_ids_;  // of the conversation that is read
  DatasetInfo info_;
  int64_t num_classes_ = 0;
  bool has_minus_one_ = false;  // among the labels
  SpeakerTable speakers_;
  std::vector<Conversation> conversations_;
};

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_CONVERSATION_READER_H_
