// Views for PyTorch: what stands for a modality that is removed, and which utterances may draw on
// which.
#include <torch/library.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/views.h"
#include "core/batch.h"
#include "core/evidence_flags.h"
#include "core/shape.h"
#include "python/arguments.h"

namespace cmerc::python {
namespace {

using torch::Tensor;

// lengths on the CPU, [B] int64, each from 1 to `longest`; `longest` < 0: whatever the longest is.
// Throws std::invalid_argument for others.
Tensor CheckedLengths(const Tensor& lengths, int64_t num, int64_t longest) {
  const Tensor here = lengths.cpu();
  if (here.dim() != 1 || here.size(0) < 1 || (num >= 0 && here.size(0) != num) ||
      here.scalar_type() != torch::kInt64) {
    throw std::invalid_argument(absl::StrCat(
        "lengths has shape ", ShapeString(here.sizes()), " and dtype ",
        c10::toString(here.scalar_type()), ", want ", num < 0 ? "[B]" : absl::StrCat("[", num, "]"),
        " Long, the utterances of each conversation"));
  }
  const auto least = here.min().item<int64_t>(), most = here.max().item<int64_t>();
  if (least < 1 || (longest >= 0 && most > longest)) {
    throw std::invalid_argument(
        absl::StrCat("lengths holds ", least < 1 ? least : most, ", want 1 or more",
                     longest < 0 ? "" : absl::StrCat(", up to ", longest, ", the padded length")));
  }
  return here;
}

// Throws std::invalid_argument, with `name`, for features that are not [B, T, D].
void CheckFeatures(const std::string& name, const Tensor& features) {
  if (features.dim() == 3 && features.is_floating_point()) return;
  throw std::invalid_argument(
      absl::StrCat(name, " has shape ", ShapeString(features.sizes()), " and dtype ",
                   c10::toString(features.scalar_type()),
                   ", want [B, T, D] of floating-point numbers (conversations, utterances, "
                   "features)"));
}

// [B, T, D]: what a view puts in the place of `features` [B, T, D], 0 on padding.
Tensor MaskedMean(const Tensor& features, const Tensor& lengths, bool past, bool padded_rows) {
  CheckFeatures("features", features);
  const int64_t num = features.size(0), longest = features.size(1);
  Batch batch;
  batch.lengths = CheckedLengths(lengths, num, longest);
  batch.speakers = torch::zeros({num, longest}, torch::kInt64);
  batch.modalities = {{"features", {features}}};
  batch.scope = past ? ContextScope::kPast : ContextScope::kConversation;
  return ApplyView(
             batch, {View::Kind::kModality, "features"},
             padded_rows ? CalibrationConfig::PADDED_ROWS : CalibrationConfig::REAL_UTTERANCES)
      .modalities[0]
      .streams[0];
}

// [B, T, T] bool on the CPU: Batch::context of conversations of these lengths, T the longest.
Tensor ContextMask(const Tensor& lengths, bool past) {
  DatasetInfo info = InfoOf({}, {"any"}, {});
  info.context = past ? ContextScope::kPast : ContextScope::kConversation;
  const Tensor checked = CheckedLengths(lengths, -1, -1).contiguous();
  std::vector<Conversation> conversations;
  for (int64_t b = 0; b < checked.size(0); ++b) {
    const Tensor zeros = torch::zeros({checked.data_ptr<int64_t>()[b]}, torch::kInt64);
    Conversation conversation;
    conversation.speakers = zeros;
    conversation.labels = zeros;
    conversations.push_back(std::move(conversation));
  }
  return MakeBatch(conversations, info).context;
}

// Throws std::invalid_argument unless `context` is [B, T, T] bool and `speakers` [B, T] int64.
void CheckContext(const Tensor& context, const Tensor& speakers) {
  if (speakers.dim() == 2 && speakers.scalar_type() == torch::kInt64 &&
      context.scalar_type() == torch::kBool &&
      context.sizes() ==
          torch::IntArrayRef({speakers.size(0), speakers.size(1), speakers.size(1)})) {
    return;
  }
  throw std::invalid_argument(absl::StrCat(
      "context has shape ", ShapeString(context.sizes()), " and dtype ",
      c10::toString(context.scalar_type()), ", speakers ", ShapeString(speakers.sizes()), " and ",
      c10::toString(speakers.scalar_type()), "; want [B, T, T] Bool and [B, T] Long"));
}

// [B, T, T] bool: `context` without the view "same_speaker" or "other_speakers".
Tensor ContextWithout(const std::string& view, const Tensor& context, const Tensor& speakers) {
  const std::vector<View> views = ViewsCalled({view}, InfoOf({}, {}, {}));
  CheckContext(context, speakers);
  Batch batch;
  batch.context = context;
  batch.speakers = speakers;
  return ApplyView(batch, views[0], CalibrationConfig::REAL_UTTERANCES).context;
}

using Streams = c10::Dict<std::string, c10::List<Tensor>>;

// Throws std::invalid_argument unless Batch::evidence is [B, T, M + 2] bool and `shifts` are
// [M + 2, D_m] of each modality.
void CheckEvidence(const Batch& batch, const std::vector<Tensor>& shifts) {
  const auto sources = static_cast<int64_t>(batch.modalities.size()) + 2;
  const std::vector<int64_t> shape = {batch.num_conversations(), batch.max_length(), sources};
  if (batch.evidence.sizes() != shape || batch.evidence.scalar_type() != torch::kBool ||
      shifts.size() != batch.modalities.size()) {
    throw std::invalid_argument(absl::StrCat(
        "evidence has shape ", ShapeString(batch.evidence.sizes()), " and dtype ",
        c10::toString(batch.evidence.scalar_type()), ", want [B, T, ", sources, "] Bool: each of ",
        shifts.size(), " modalities, then same_speaker and other_speakers"));
  }
  for (size_t m = 0; m < shifts.size(); ++m) {
    if (shifts[m].dim() == 2 && shifts[m].size(0) == sources) continue;
    throw std::invalid_argument(absl::StrCat("the shifts of ", batch.modalities[m].name,
                                             " have shape ", ShapeString(shifts[m].sizes()),
                                             ", want [", sources, ", D]"));
  }
}

// The batch with its features shifted where its evidence is missing (core/evidence_flags.h) by
// `shifts`, [M + 2, D_m] float32 of each modality, which get a gradient.
Batch Shown(const Batch& batch, const std::vector<Tensor>& shifts) {
  DatasetInfo info;
  for (size_t m = 0; m < shifts.size(); ++m) {
    info.modalities.push_back({batch.modalities[m].name, shifts[m].size(1), 1});
  }
  EvidenceFlags flags(info);
  std::vector<Tensor> own = flags.parameters();
  for (size_t m = 0; m < shifts.size(); ++m) {
    // Written into, a parameter that has no gradient of its own hands its gradient on.
    own[m].set_requires_grad(false);
    own[m].set_data(own[m].to(shifts[m].options()));
    own[m].copy_(shifts[m]);
  }
  return flags.Show(batch);
}

// The batch of these modalities, whole: an utterance draws on the conversation, or on its past,
// where `context` is not given.
Batch BatchOf(const Streams& streams, const Tensor& lengths, const c10::optional<Tensor>& context,
              bool past) {
  Batch batch;
  batch.scope = past ? ContextScope::kPast : ContextScope::kConversation;
  for (const auto& entry : streams) {
    batch.modalities.push_back({entry.key(), entry.value().vec()});
    if (batch.modalities.back().streams.empty()) {
      throw std::invalid_argument(entry.key() + " has no stream, want one or more [B, T, D]");
    }
  }
  if (batch.modalities.empty()) throw std::invalid_argument("there is no modality");
  const Tensor& first = batch.modalities[0].streams[0];
  if (first.dim() < 2) CheckFeatures(batch.modalities[0].name, first);
  const int64_t num = first.size(0), longest = first.size(1);
  batch.lengths = CheckedLengths(lengths, num, longest);
  batch.speakers = torch::zeros({num, longest}, torch::kInt64);
  if (context.has_value()) {
    batch.context = *context;
    return batch;
  }
  // Rows beyond the longest conversation are padding of every one.
  const Tensor made = ContextMask(batch.lengths, past);
  const int64_t more = longest - made.size(1);
  batch.context = torch::constant_pad_nd(made, {0, more, 0, more}).to(first.device());
  return batch;
}

// `batch` without the view of this name. `speakers` is needed for those of context alone.
Batch Without(const Batch& batch, const std::string& name, const c10::optional<Tensor>& speakers) {
  std::vector<std::string> modalities;
  for (const Modality& modality : batch.modalities) modalities.push_back(modality.name);
  const View view = ViewsCalled({name}, InfoOf(modalities, {}, {}))[0];
  Batch with_speakers = batch;
  if (view.kind == View::Kind::kModality) {
    const auto place = std::find(modalities.begin(), modalities.end(), name) - modalities.begin();
    for (const Tensor& stream : batch.modalities[static_cast<size_t>(place)].streams) {
      CheckFeatures(name, stream);
      if (stream.sizes().slice(0, 2) == batch.speakers.sizes()) continue;
      throw std::invalid_argument(absl::StrCat(name, " has shape ", ShapeString(stream.sizes()),
                                               ", want [", batch.num_conversations(), ", ",
                                               batch.max_length(), ", D] as ", modalities[0]));
    }
  } else if (speakers.has_value()) {
    CheckContext(batch.context, *speakers);
    with_speakers.speakers = *speakers;
  } else {
    throw std::invalid_argument(absl::StrCat(
        "the view \"", name, "\" needs batch[\"speakers\"], [B, T] int64; leave it out: views=[\"",
        absl::StrJoin(modalities, "\", \""), "\"]"));
  }
  return ApplyView(with_speakers, view, CalibrationConfig::REAL_UTTERANCES);
}

// What a model sees of a batch without `view`, or for "" of all of it: the streams of each modality
// [B, T, D_m], and the context [B, T, T] bool; what is not changed is the same tensor. Where there
// are `shifts` (see Shown()), streams are shifted where evidence is missing, which is what `view`
// removes and what `evidence` [B, T, M + 2] says; all is there where that is not given.
std::tuple<Streams, Tensor> SeenBatch(const std::string& view, const Streams& streams,
                                      const Tensor& lengths, const c10::optional<Tensor>& context,
                                      const c10::optional<Tensor>& speakers,
                                      const c10::optional<Tensor>& evidence,
                                      const std::vector<Tensor>& shifts, bool past) {
  Batch batch = BatchOf(streams, lengths, context, past);
  if (!shifts.empty()) {
    const auto sources = static_cast<int64_t>(streams.size()) + 2;
    batch.evidence = evidence.has_value() ? *evidence
                                          : ValidRows(batch.lengths, batch.max_length())
                                                .to(batch.context.device())
                                                .unsqueeze(2)
                                                .repeat({1, 1, sources});
    CheckEvidence(batch, shifts);
  }
  if (!view.empty()) batch = Without(batch, view, speakers);
  if (!shifts.empty()) batch = Shown(batch, shifts);
  Streams seen;
  for (const Modality& modality : batch.modalities) {
    seen.insert(modality.name, c10::List<Tensor>(modality.streams));
  }
  return {seen, batch.context};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cmerc, library) {
  library.def(
      "masked_mean(Tensor features, Tensor lengths, bool past=False, bool padded_rows=False) -> "
      "Tensor",
      &MaskedMean);
  library.def(
      "seen_batch(str view, Dict(str, Tensor[]) streams, Tensor lengths, Tensor? context, Tensor? "
      "speakers, Tensor? evidence, Tensor[] shifts, bool past=False) -> (Dict(str, Tensor[]), "
      "Tensor)",
      &SeenBatch);
  library.def("context_mask(Tensor lengths, bool past=False) -> Tensor", &ContextMask);
  library.def("context_without(str view, Tensor context, Tensor speakers) -> Tensor",
              &ContextWithout);
}

}  // namespace cmerc::python
