// Writes any data set in our file formats.
#ifndef CMERC_DATASETS_EXPORT_H_
#define CMERC_DATASETS_EXPORT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/dataset.h"
#include "datasets/formats/conversation.pb.h"

namespace cmerc {

// Returns what a record file says of the data set in front. Speakers without names are called "0",
// "1", ...
DatasetSchema SchemaOf(const DatasetInfo& info);

// Returns the conversation in the form of our files. Streams that are one tensor, or equal, are
// shared. Utterances without a label have none there; what an utterance lacks is absent. The split
// is left unset.
ConversationRecord RecordOf(const Conversation& conversation, const DatasetInfo& info);

// Takes the bytes of a file, piece by piece.
using ByteSink = std::function<absl::Status(absl::string_view bytes)>;
// Is told how many conversations are done.
using OnConversation = absl::FunctionRef<void(int64_t done)>;

// All write the conversations that are in a split: first kTrainAndValid in its order, then kTest.
// InvalidArgument: the format cannot hold a conversation. Errors of `sink` and of Dataset::Get()
// are passed on.
//
// Writes a record file (record_file.h).
absl::Status WriteRecords(const Dataset& dataset, const ByteSink& sink, OnConversation progress);
// Writes JSON Lines. Lost are the order of the classes, and speakers who never speak.
absl::Status WriteJsonLines(const Dataset& dataset, const ByteSink& sink, OnConversation progress);
// Writes an .npz of N utterances in B conversations: per modality, under its name, [N, D_m]
// float32, or [N, streams, D_m] where there are several; labels, speakers [N] int64; lengths [B]
// int64; ids, split [B], class_names [C], speaker_names [S] text; and where there are any,
// positions and numeric_ids [B] int64 (conversation.proto says what these are), and per modality
// that some utterances lack present.NAME [N] int64, and per modality whose extractor is known
// extractor.NAME [1] text. Without the sentences.
// datasets/formats/npz_conversations.h reads it.
absl::Status WriteNpz(const Dataset& dataset, const ByteSink& sink, OnConversation progress);

}  // namespace cmerc

#endif  // CMERC_DATASETS_EXPORT_H_
