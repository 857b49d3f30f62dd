#include "datasets/assembly/conversation_tensors.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

// Returns the indices of the utterances' speakers, [n] int64. InvalidArgument: there are more
// speakers than info.num_speakers.
absl::StatusOr<torch::Tensor> SpeakerIndices(const ConversationRecord& record,
                                             const DatasetInfo& info) {
  std::vector<std::string> names;  // in order of appearance
  std::map<std::string, int64_t> index_of;
  std::set<int64_t> taken;
  for (const ConversationRecord::Utterance& utterance : record.utterances()) {
    if (!index_of.emplace(utterance.speaker(), -1).second) continue;
    names.push_back(utterance.speaker());
    const auto known =
        std::find(info.speaker_names.begin(), info.speaker_names.end(), utterance.speaker());
    if (known == info.speaker_names.end()) continue;
    index_of[utterance.speaker()] = known - info.speaker_names.begin();
    taken.insert(known - info.speaker_names.begin());
  }
  if (static_cast<int64_t>(names.size()) > info.num_speakers) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", names.size(), " speakers (", absl::StrJoin(names, ", "),
                     "), and the model has weights for ", info.num_speakers,
                     ", as many as its training data had; train it on data with more"));
  }
  int64_t next = 0;
  for (const std::string& name : names) {
    if (index_of[name] >= 0) continue;
    while (taken.count(next) > 0) ++next;
    index_of[name] = next++;
  }
  const torch::Tensor indices = torch::empty({record.utterances_size()}, torch::kInt64);
  int64_t* out = indices.data_ptr<int64_t>();
  for (const ConversationRecord::Utterance& utterance : record.utterances()) {
    *out++ = index_of[utterance.speaker()];
  }
  return indices;
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
  ASSIGN_OR_RETURN(conversation.speakers, SpeakerIndices(record, info));
  for (const ConversationRecord::Utterance& utterance : record.utterances()) {
    conversation.utterances.push_back(utterance.text());
  }
  return conversation;
}

}  // namespace cmerc
