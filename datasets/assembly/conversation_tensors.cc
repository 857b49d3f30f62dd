#include "datasets/assembly/conversation_tensors.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status.h"
#include "datasets/assembly/missing_modalities.h"
#include "datasets/formats/conversation.h"

namespace cmerc {
namespace {

std::string NamesOf(const ConversationRecord& record) {
  return absl::StrJoin(record.modalities(), ", ", [](std::string* out, const auto& modality) {
    absl::StrAppend(out, modality.name());
  });
}

// Whether the record has a modality that is none of `info`.
bool HasUnknownModality(const ConversationRecord& record, const DatasetInfo& info) {
  return std::any_of(
      record.modalities().begin(), record.modalities().end(), [&](const auto& modality) {
        return std::none_of(info.modalities.begin(), info.modalities.end(),
                            [&](const ModalityInfo& m) { return m.name == modality.name(); });
      });
}

// OK, too: there is no modality `want`, nor any that could be it.
absl::Status CheckModality(const ConversationRecord& record, const DatasetInfo& info,
                           const ModalityInfo& want) {
  const ConversationRecord::Modality* modality = FindModality(record, want.name);
  if (modality == nullptr) {
    if (!HasUnknownModality(record, info)) return absl::OkStatus();
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
  const int64_t width = modality.width();
  const std::vector<int> rows = RowsOf(modality, static_cast<int>(length));
  std::vector<torch::Tensor> streams;
  for (const ConversationRecord::Stream& stream : modality.streams()) {
    if (stream.same_as_previous()) {
      streams.push_back(streams.back());
      continue;
    }
    streams.push_back(torch::empty({length, width}));
    float* out = streams.back().data_ptr<float>();
    if (modality.absent().empty()) {
      std::copy(stream.values().begin(), stream.values().end(), out);
      continue;
    }
    streams.back().zero_();
    for (int64_t i = 0; i < length; ++i) {
      if (rows[i] >= 0)
        std::copy_n(stream.values().data() + rows[i] * width, width, out + i * width);
    }
  }
  return streams;
}

torch::Tensor PresentOf(const ConversationRecord& record, const std::vector<std::string>& names) {
  std::vector<std::vector<bool>> has;
  for (const std::string& name : names) {
    const ConversationRecord::Modality* modality = FindModality(record, name);
    std::vector<bool>& of_modality =
        has.emplace_back(record.utterances_size(), modality != nullptr);
    if (modality == nullptr) continue;
    for (const int absent : modality->absent()) of_modality[absent] = false;
  }
  return PresentTensor(has, record.utterances_size());
}

absl::StatusOr<Conversation> ToConversation(const ConversationRecord& record,
                                            const DatasetInfo& info) {
  Conversation conversation;
  const int64_t length = record.utterances_size();
  conversation.id = record.id();
  conversation.numeric_id = record.numeric_id();
  std::vector<std::string> names;
  bool has_any = false;
  for (const ModalityInfo& want : info.modalities) {
    RETURN_IF_ERROR(CheckModality(record, info, want));
    names.push_back(want.name);
    const ConversationRecord::Modality* modality = FindModality(record, want.name);
    has_any = has_any || modality != nullptr;
    if (modality == nullptr) {
      const torch::Tensor zeros = torch::zeros({1, 1}).expand({length, want.width});
      conversation.features.emplace_back(want.num_streams, zeros);
      continue;
    }
    conversation.features.push_back(StreamTensors(*modality, length));
  }
  if (!has_any) {
    return absl::InvalidArgumentError(absl::StrCat(
        "features has none of ", absl::StrJoin(names, ", "), ", which the model was trained on"));
  }
  conversation.present = PresentOf(record, names);
  ASSIGN_OR_RETURN(conversation.speakers, SpeakerIndices(record, info));
  for (const ConversationRecord::Utterance& utterance : record.utterances()) {
    conversation.utterances.push_back(utterance.text());
  }
  return conversation;
}

}  // namespace cmerc
