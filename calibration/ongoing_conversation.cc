#include "calibration/ongoing_conversation.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "calibration/describe_prediction.h"
#include "calibration/views.h"
#include "core/batch.h"
#include "core/speakers.h"
#include "core/status.h"
#include "core/streams.h"
#include "core/torch_status.h"

namespace cmerc {
namespace {

using torch::Tensor;

// A stream of all of these utterances, [n, D].
Tensor JoinStream(const std::vector<Conversation>& utterances, int64_t count, size_t m, size_t s) {
  std::vector<Tensor> rows;
  rows.reserve(count);
  for (int64_t i = 0; i < count; ++i) rows.push_back(utterances[i].features[m][s]);
  return torch::cat(rows);
}

// Whether some utterance lacks a modality.
bool LacksSomething(const Conversation& utterance) {
  return utterance.present.defined() && !utterance.present.all().item<bool>();
}

// The utterance `index` of a conversation, as a conversation.
Conversation UtteranceOf(Conversation conversation, int64_t index) {
  for (std::vector<Tensor>& streams : conversation.features) {
    streams =
        MapStreams(streams, [index](const Tensor& stream) { return stream.narrow(0, index, 1); });
  }
  conversation.speakers = conversation.speakers.narrow(0, index, 1);
  conversation.labels = conversation.labels.narrow(0, index, 1);
  if (conversation.present.defined()) {
    conversation.present = conversation.present.narrow(0, index, 1);
  }
  return conversation;
}

// Log-probabilities [C] in float64.
Tensor ExactRow(const Prediction& prediction) {
  return prediction.log_probs[0].to(torch::kFloat64).contiguous();
}

absl::Span<const double> RowValues(const Tensor& log_probs) {
  return {log_probs.data_ptr<double>(), static_cast<size_t>(log_probs.numel())};
}

}  // namespace

absl::StatusOr<PredictedUtterance> OngoingConversation::Push(Predictor& predictor,
                                                             Conversation utterance,
                                                             const std::string& speaker) {
  names_.push_back(speaker);
  absl::StatusOr<std::vector<int64_t>> speakers = SpeakerIndices(names_, predictor.info());
  absl::Status status = speakers.status();
  if (status.ok()) {
    utterance.speakers = torch::tensor({speakers->back()}, torch::kInt64);
    utterance.labels = torch::zeros({1}, torch::kInt64);  // a batch has some
    status = predictor.Check(utterance);
  }
  if (!status.ok()) {
    names_.pop_back();
    return status;
  }
  speakers.value().swap(speakers_);  // what they were before
  utterances_.push_back(std::move(utterance));
  absl::StatusOr<PredictedUtterance> prediction =
      CatchTorch([&] { return PredictLast(predictor); });
  if (!prediction.ok()) {
    // What the passes have seen of it goes too: they are made anew.
    names_.pop_back();
    utterances_.pop_back();
    speakers.value().swap(speakers_);
    passes_.clear();
  }
  return prediction;
}

absl::StatusOr<PredictedUtterance> OngoingConversation::PredictLast(Predictor& predictor) {
  const int64_t last = length() - 1;
  if (passes_.empty()) {
    Begin(predictor.backbone());
    for (int64_t i = 0; i < last && !passes_.empty(); ++i) {
      RETURN_IF_ERROR(Continue(predictor, i).status());
    }
  }
  if (!passes_.empty()) return Continue(predictor, last);
  ASSIGN_OR_RETURN(const std::vector<PredictedConversation> predictions,
                   predictor.Predict({Prefix(last + 1)}, views_));
  return predictions[0].utterances(static_cast<int>(last));
}

Conversation OngoingConversation::Prefix(int64_t count) const {
  Conversation prefix = utterances_[count - 1];
  for (size_t m = 0; m < prefix.features.size(); ++m) {
    std::vector<Tensor>& streams = prefix.features[m];
    for (size_t s = 0; s < streams.size(); ++s) {
      const bool same = std::all_of(
          utterances_.begin(), utterances_.begin() + count,
          [&](const Conversation& one) { return IsSameAsPrevious(one.features[m], s); });
      streams[s] = same ? streams[s - 1] : JoinStream(utterances_, count, m, s);
    }
  }
  prefix.speakers =
      torch::tensor(std::vector<int64_t>(speakers_.begin(), speakers_.begin() + count));
  prefix.labels = torch::zeros({count}, torch::kInt64);
  const bool lacks = std::any_of(utterances_.begin(), utterances_.begin() + count, LacksSomething);
  prefix.present = Tensor();
  if (lacks) {
    std::vector<Tensor> rows;
    for (int64_t i = 0; i < count; ++i) {
      const Tensor& present = utterances_[i].present;
      rows.push_back(
          present.defined()
              ? present
              : torch::ones({1, static_cast<int64_t>(prefix.features.size())}, torch::kBool));
    }
    prefix.present = torch::cat(rows);
  }
  return prefix;
}

void OngoingConversation::Begin(const Backbone& backbone) {
  // A model that sees later utterances says something else of each with every one that comes.
  if (backbone.info().context != ContextScope::kPast) return;
  for (size_t p = 0; p < views_.size() + 1; ++p) {
    Pass pass{backbone.NewMemory(), {}};
    if (pass.memory == nullptr) return;
    passes_.push_back(std::move(pass));
  }
}

absl::StatusOr<PredictedUtterance> OngoingConversation::Continue(Predictor& predictor,
                                                                 int64_t index) {
  // What fills a gap depends on the utterances before.
  const bool alone = !LacksSomething(utterances_[index]);
  ASSIGN_OR_RETURN(Conversation prepared,
                   predictor.Prepare(alone ? utterances_[index] : Prefix(index + 1)));
  const Conversation utterance = alone ? prepared : UtteranceOf(std::move(prepared), index);
  ASSIGN_OR_RETURN(const Prediction full, ContinuePass(predictor.backbone(), utterance, index,
                                                       /*view=*/nullptr, passes_[0]));
  const Tensor log_probs = ExactRow(full);
  bool finite = log_probs.isfinite().all().item<bool>();
  std::vector<Tensor> without;
  for (size_t v = 0; v < views_.size(); ++v) {
    ASSIGN_OR_RETURN(const Prediction prediction, ContinuePass(predictor.backbone(), utterance,
                                                               index, &views_[v], passes_[v + 1]));
    without.push_back(ExactRow(prediction));
    finite = finite && without.back().isfinite().all().item<bool>();
  }
  if (!finite) {
    return absl::InternalError(absl::StrCat("what the model predicts for utterance ", index,
                                            " is not a finite number: its weights are of no use"));
  }
  PredictedRows rows{RowValues(log_probs), views_, {}, predictor.temperature(), predictor.rules()};
  for (const Tensor& view : without) rows.view_log_probs.push_back(RowValues(view));
  PredictedConversation described =
      DescribePredictions(rows, {""}, {1}, predictor.info().class_names)[0];
  SetMissing(utterance, predictor.info(), &described);
  return described.utterances(0);
}

absl::StatusOr<Prediction> OngoingConversation::ContinuePass(Backbone& backbone,
                                                             const Conversation& utterance,
                                                             int64_t index, const View* view,
                                                             Pass& pass) const {
  const DatasetInfo& info = backbone.info();
  Batch batch = MakeBatch({utterance}, info);
  if (view != nullptr) {
    // It clears the evidence; the mean of a modality is that of all utterances so far.
    batch = ApplyView(batch, *view, CalibrationConfig::REAL_UTTERANCES);
    for (size_t m = 0; m < batch.modalities.size(); ++m) {
      if (view->kind != View::Kind::kModality || view->modality != info.modalities[m].name)
        continue;
      pass.sums.resize(utterance.features[m].size());
      for (size_t s = 0; s < pass.sums.size(); ++s) {
        const Tensor row = utterance.features[m][s].to(torch::kFloat64);
        pass.sums[s] = pass.sums[s].defined() ? pass.sums[s] + row : row;
        // As ApplyView() divides.
        batch.modalities[m].streams[s] =
            (pass.sums[s].to(torch::kFloat32) / static_cast<double>(index + 1)).unsqueeze(0);
      }
    }
  }
  return backbone.Continue(batch, SourcesOf(index, view), *pass.memory);
}

Tensor OngoingConversation::SourcesOf(int64_t index, const View* view) const {
  const Tensor sources = torch::ones({index + 1}, torch::kBool);
  if (view == nullptr || view->kind == View::Kind::kModality) return sources;
  bool* const source = sources.data_ptr<bool>();
  for (int64_t i = 0; i < index; ++i) {
    const bool same = speakers_[i] == speakers_[index];
    source[i] = same != (view->kind == View::Kind::kSameSpeaker);
  }
  return sources;
}

}  // namespace cmerc
