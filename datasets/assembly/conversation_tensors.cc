#include "datasets/assembly/conversation_tensors.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/speakers.h"
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

bool IsKnown(const ConversationRecord::Modality& modality, const DatasetInfo& info) {
  return std::any_of(info.modalities.begin(), info.modalities.end(),
                     [&](const ModalityInfo& m) { return m.name == modality.name(); });
}

// Whether the record has a modality that is none of `info`.
bool HasUnknownModality(const ConversationRecord& record, const DatasetInfo& info) {
  return std::any_of(record.modalities().begin(), record.modalities().end(),
                     [&](const auto& modality) { return !IsKnown(modality, info); });
}

// The first utterance that has `other` and lacks `modality`, if no utterance has both; else -1.
int InPlaceOf(const ConversationRecord::Modality& modality,
              const ConversationRecord::Modality& other, int length) {
  const std::set<int> lack(modality.absent().begin(), modality.absent().end());
  const std::set<int> lack_other(other.absent().begin(), other.absent().end());
  int first = -1;
  for (int i = length - 1; i >= 0; --i) {
    if (lack_other.count(i) > 0) continue;
    if (lack.count(i) == 0) return -1;
    first = i;
  }
  return first;
}

// InvalidArgument: where utterances lack `modality`, there is one that `info` does not know, and
// nowhere else: it may be the same under a name that is misspelt.
absl::Status CheckPlace(const ConversationRecord& record, const DatasetInfo& info,
                        const ConversationRecord::Modality& modality) {
  for (const ConversationRecord::Modality& other : record.modalities()) {
    if (modality.absent().empty() || IsKnown(other, info)) continue;
    const int utterance = InPlaceOf(modality, other, record.utterances_size());
    if (utterance < 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "utterances[", utterance, "].features.", modality.name(), " is missing, and ", other.name(),
        ", which the model does not know, is there in its place; rename it if it is the same, or "
        "leave it out"));
  }
  return absl::OkStatus();
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
  return CheckPlace(record, info, *modality);
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

std::vector<std::string> SentencesOf(const ConversationRecord& record) {
  bool has_any = false;
  std::vector<std::string> sentences;
  for (const ConversationRecord::Utterance& utterance : record.utterances()) {
    has_any = has_any || utterance.has_text();
    sentences.push_back(utterance.text());
  }
  if (!has_any) sentences.clear();
  return sentences;
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
