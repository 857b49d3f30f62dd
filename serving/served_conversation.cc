#include "serving/served_conversation.h"

#include <algorithm>
#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bin/predict_options.h"
#include "core/status.h"
#include "datasets/assembly/conversation_tensors.h"
#include "datasets/formats/conversation.h"
#include "serving/jobs.h"

namespace cmerc::serving {
namespace {

// An utterance of a request as a conversation of it alone.
absl::StatusOr<ConversationRecord> RecordOf(const ConverseRequest& request,
                                            const ModelDescription& model) {
  if (!request.has_speaker()) return absl::InvalidArgumentError("speaker is missing");
  ConversationRecord record;
  record.set_id("stream");
  ConversationRecord::Utterance* utterance = record.add_utterances();
  utterance->set_speaker(request.speaker());
  if (request.has_id()) utterance->set_id(request.id());
  for (const ConverseRequest::Features& features : request.features()) {
    const auto is_it = [&](const auto& one) { return one.name == features.modality(); };
    const auto modality = std::find_if(model.modalities.begin(), model.modalities.end(), is_it);
    if (modality == model.modalities.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("features of \"", features.modality(), "\": the model has ",
                       absl::StrJoin(model.modalities, ", ", [](std::string* out, const auto& one) {
                         absl::StrAppend(out, one.name);
                       })));
    }
    if (features.values_size() != modality->width * modality->streams) {
      return absl::InvalidArgumentError(
          absl::StrCat("features of \"", features.modality(), "\" are ", features.values_size(),
                       " numbers, want ", modality->width * modality->streams));
    }
    ConversationRecord::Modality* added = record.add_modalities();
    added->set_name(modality->name);
    added->set_width(static_cast<int32_t>(modality->width));
    const float* next = features.values().data();
    for (int64_t s = 0; s < modality->streams; ++s, next += modality->width) {
      added->add_streams()->mutable_values()->Add(next, next + modality->width);
    }
  }
  RETURN_IF_ERROR(CheckRecord(record));
  return record;
}

}  // namespace

absl::StatusOr<ConverseResponse> ServedConversation::Push(const ConverseRequest& request,
                                                          Deadline deadline) {
  const ModelDescription& description = state_->model->description;
  ASSIGN_OR_RETURN(const ConversationRecord record, RecordOf(request, description));
  if (state_->conversation.length() >= max_utterances_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the conversation has ", max_utterances_,
                     " utterances, and one may have no more (--max_utterances)"));
  }
  // Shared: a job that was given up may still run when this returns.
  auto answer = std::make_shared<ConverseResponse>();
  auto job = std::make_shared<CallJob>([state = state_, record, answer, counters = counters_] {
    Copy& copy = *state->model->copies[state->copy];
    const std::lock_guard<std::mutex> lock(copy.mutex);
    ASSIGN_OR_RETURN(Conversation utterance, ToConversation(record, copy.predictor.info()));
    const int64_t number = state->conversation.length();
    ASSIGN_OR_RETURN(PredictedUtterance predicted,
                     state->conversation.Push(copy.predictor, std::move(utterance),
                                              record.utterances(0).speaker()));
    counters->AddPredicted(state->model->description.name, 0, 1);
    PredictedConversation named;
    *named.add_utterances() = std::move(predicted);
    Name(record, &named);
    answer->set_number(number);
    *answer->mutable_utterance() = std::move(*named.mutable_utterances(0));
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(submit_(job, deadline));
  return *answer;
}

}  // namespace cmerc::serving
