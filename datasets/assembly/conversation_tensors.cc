#include "datasets/assembly/conversation_tensors.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/speakers.h"
#include "core/status.h"
#include "datasets/formats/conversation.h"

namespace cmerc {
namespace {

std::string NamesOf(const ConversationRecord& record) {
  return absl::StrJoin(record.modalities(), ", ", [](std::string* out, const auto& modality) {
    absl::StrAppend(out, modality.name());
  });
}

absl::Status CheckModality(const ConversationRecord& record, const ModalityInfo& want) {
  const ConversationRecord::Modality* modality = FindModality(record, want.name);
  if (modality == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("features.", want.name, " is missing, want ", want.width,
                     " numbers an utterance, as in training; there are ", NamesOf(record)));
  }
  if (modality->width() != want.width) {
    return absl::InvalidArgumentError(
        absl::StrCat("features.", want.name, " has ", modality->width(),
                     " numbers an utterance, want ", want.width, ", as in training"));
  }
  if (modality->streams_size() != want.num_streams) {
    return absl::InvalidArgumentError(absl::StrCat("features.", want.name, " has ",
                                                   modality->streams_size(), " streams, want ",
                                                   want.num_streams, ", as in training"));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<torch::Tensor> StreamTensors(const ConversationRecord::Modality& modality,
                                         int64_t length) {
  std::vector<torch::Tensor> streams;
  for (const ConversationRecord::Stream& stream : modality.streams()) {
    if (stream.same_as_previous()) {
      streams.push_back(streams.back());
      continue;
    }
    streams.push_back(torch::empty({length, int64_t{modality.width()}}));
    std::copy(stream.values().begin(), stream.values().end(), streams.back().data_ptr<float>());
  }
  return streams;
}

absl::StatusOr<Conversation> ToConversation(const ConversationRecord& record,
                                            const DatasetInfo& info) {
  Conversation conversation;
  conversation.id = record.id();
  conversation.numeric_id = record.numeric_id();
  for (const ModalityInfo& want : info.modalities) {
    RETURN_IF_ERROR(CheckModality(record, want));
    conversation.features.push_back(
        StreamTensors(*FindModality(record, want.name), record.utterances_size()));
  }
  std::vector<std::string> speakers;
  for (const ConversationRecord::Utterance& utterance : record.utterances()) {
    speakers.push_back(utterance.speaker());
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices, SpeakerIndices(speakers, info));
  conversation.speakers = torch::tensor(indices, torch::kInt64);
  for (const ConversationRecord::Utterance& utterance : record.utterances()) {
    conversation.utterances.push_back(utterance.text());
  }
  return conversation;
}

}  // namespace cmerc
