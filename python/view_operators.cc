// Views for PyTorch: what stands for a modality that is removed, and which utterances may draw on
// which.
#include <torch/library.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
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

// [B, T, D]: what a view puts in the place of `features` [B, T, D], 0 on padding.
Tensor MaskedMean(const Tensor& features, const Tensor& lengths, bool past, bool padded_rows) {
  if (features.dim() != 3 || !features.is_floating_point()) {
    throw std::invalid_argument(
        absl::StrCat("features has shape ", ShapeString(features.sizes()), " and dtype ",
                     c10::toString(features.scalar_type()),
                     ", want [B, T, D] of floating-point numbers (conversations, utterances, "
                     "features)"));
  }
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

// [B, T, T] bool: `context` without the view "same_speaker" or "other_speakers".
Tensor ContextWithout(const std::string& view, const Tensor& context, const Tensor& speakers) {
  const std::vector<View> views = ViewsCalled({view}, InfoOf({}, {}, {}));
  if (speakers.dim() != 2 || speakers.scalar_type() != torch::kInt64 ||
      context.scalar_type() != torch::kBool ||
      context.sizes() !=
          torch::IntArrayRef({speakers.size(0), speakers.size(1), speakers.size(1)})) {
    throw std::invalid_argument(absl::StrCat(
        "context has shape ", ShapeString(context.sizes()), " and dtype ",
        c10::toString(context.scalar_type()), ", speakers ", ShapeString(speakers.sizes()), " and ",
        c10::toString(speakers.scalar_type()), "; want [B, T, T] Bool and [B, T] Long"));
  }
  Batch batch;
  batch.context = context;
  batch.speakers = speakers;
  return ApplyView(batch, views[0], CalibrationConfig::REAL_UTTERANCES).context;
}

// The streams of all modalities, one after the other, shifted where `evidence` [B, T, M + 2] says
// that it is missing (core/evidence_flags.h). `streams` are as many of each modality as `counts`
// says, [B, T, D_m] float32; `shifts` has [M + 2, D_m] float32 for each modality and gets a
// gradient.
std::vector<Tensor> ShowEvidence(const std::vector<Tensor>& streams,
                                 const std::vector<int64_t>& counts, const Tensor& evidence,
                                 const Tensor& lengths, const std::vector<Tensor>& shifts) {
  const auto num_modalities = static_cast<int64_t>(shifts.size());
  size_t expected = 0;
  for (const int64_t count : counts) expected += static_cast<size_t>(std::max<int64_t>(count, 0));
  if (evidence.dim() != 3 || evidence.size(2) != num_modalities + 2 ||
      evidence.scalar_type() != torch::kBool || counts.size() != shifts.size() ||
      expected != streams.size()) {
    throw std::invalid_argument(absl::StrCat(
        "evidence has shape ", ShapeString(evidence.sizes()), " and dtype ",
        c10::toString(evidence.scalar_type()), ", want [B, T, ", num_modalities + 2,
        "] Bool: each of ", num_modalities, " modalities, then same_speaker and other_speakers"));
  }
  DatasetInfo info;
  Batch batch;
  batch.evidence = evidence;
  batch.lengths = CheckedLengths(lengths, evidence.size(0), evidence.size(1));
  batch.speakers = torch::zeros({evidence.size(0), evidence.size(1)}, torch::kInt64);
  auto stream = streams.begin();
  for (int64_t m = 0; m < num_modalities; ++m) {
    const Tensor& shift = shifts[m];
    if (shift.dim() != 2 || shift.size(0) != num_modalities + 2) {
      throw std::invalid_argument(absl::StrCat("shifts[", m, "] has shape ",
                                               ShapeString(shift.sizes()), ", want [",
                                               num_modalities + 2, ", D]"));
    }
    info.modalities.push_back({absl::StrCat(m), shift.size(1), counts[m]});
    batch.modalities.push_back({info.modalities.back().name, {stream, stream + counts[m]}});
    stream += counts[m];
  }
  EvidenceFlags flags(info);
  std::vector<Tensor> own = flags.parameters();
  for (int64_t m = 0; m < num_modalities; ++m) {
    // Written into, a parameter that has no gradient of its own hands its gradient on.
    own[m].set_requires_grad(false);
    own[m].set_data(own[m].to(shifts[m].options()));
    own[m].copy_(shifts[m]);
  }
  std::vector<Tensor> shown;
  for (const Modality& modality : flags.Show(batch).modalities) {
    shown.insert(shown.end(), modality.streams.begin(), modality.streams.end());
  }
  return shown;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cmerc, library) {
  library.def(
      "masked_mean(Tensor features, Tensor lengths, bool past=False, bool padded_rows=False) -> "
      "Tensor",
      &MaskedMean);
  library.def(
      "show_evidence(Tensor[] streams, int[] counts, Tensor evidence, Tensor lengths, Tensor[] "
      "shifts) -> Tensor[]",
      &ShowEvidence);
  library.def("context_mask(Tensor lengths, bool past=False) -> Tensor", &ContextMask);
  library.def("context_without(str view, Tensor context, Tensor speakers) -> Tensor",
              &ContextWithout);
}

}  // namespace cmerc::python
