#include "core/batch.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/shape.h"
#include "core/status.h"
#include "core/streams.h"

namespace cmerc {
namespace {

absl::Status CheckTensor(const std::string& name, const torch::Tensor& tensor,
                         torch::IntArrayRef want, torch::ScalarType dtype,
                         const std::string& axes) {
  if (!tensor.defined()) {
    return absl::InvalidArgumentError(absl::StrCat("batch.", name, " is not set"));
  }
  if (tensor.sizes() != want) {
    return absl::InvalidArgumentError(absl::StrCat("batch.", name, " has shape ",
                                                   ShapeString(tensor.sizes()), ", want ",
                                                   ShapeString(want), " (", axes, ")"));
  }
  if (tensor.scalar_type() != dtype) {
    return absl::InvalidArgumentError(absl::StrCat("batch.", name, " has dtype ",
                                                   c10::toString(tensor.scalar_type()), ", want ",
                                                   c10::toString(dtype)));
  }
  return absl::OkStatus();
}

absl::Status CheckRange(const std::string& name, const torch::Tensor& tensor, int64_t limit,
                        const std::string& what) {
  if (!tensor.is_cpu()) return absl::OkStatus();
  const int64_t lowest = tensor.min().item<int64_t>();
  const int64_t highest = tensor.max().item<int64_t>();
  if (lowest >= 0 && highest < limit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("batch.", name, " holds ",
                                                 lowest < 0 ? lowest : highest, ", want 0 to ",
                                                 limit - 1, " (", what, ")"));
}

// A context of more pairs is not written out if it need not be.
constexpr int64_t kMostPairs = int64_t{1} << 24;

// Batch::context where every utterance may draw on those up to itself.
torch::Tensor PastContext(const torch::Tensor& lengths, int64_t longest) {
  const torch::Tensor valid = ValidRows(lengths, longest);
  torch::Tensor context = torch::ones({longest, longest}, torch::kBool)
                              .tril()
                              .unsqueeze(0)
                              .repeat({lengths.size(0), 1, 1});
  context.logical_and_(valid.unsqueeze(2)).logical_and_(valid.unsqueeze(1));
  return context;
}

// Batch::context, where every utterance may draw on its whole conversation. One element stands for
// all of it (its strides are 0) where it is very much and nothing is padding: then it takes no
// memory, and cannot be written to.
torch::Tensor WholeContext(const torch::Tensor& lengths, int64_t longest) {
  const int64_t num = lengths.size(0);
  if (num * longest * longest > kMostPairs && lengths.min().item<int64_t>() == longest) {
    return torch::ones({1, 1, 1}, torch::kBool).expand({num, longest, longest});
  }
  const torch::Tensor valid = ValidRows(lengths, longest);
  return valid.unsqueeze(2).logical_and(valid.unsqueeze(1));
}

// [B, T, D_m]: stream `s` of modality `m` of every conversation, zero on padding.
torch::Tensor PadStream(absl::Span<const Conversation> conversations, size_t m, int64_t s,
                        int64_t longest, int64_t width) {
  const int64_t num = static_cast<int64_t>(conversations.size());
  torch::Tensor padded = torch::zeros({num, longest, width});
  for (int64_t b = 0; b < num; ++b) {
    padded[b].narrow(0, 0, conversations[b].length()).copy_(conversations[b].features[m][s]);
  }
  return padded;
}

Modality PadModality(absl::Span<const Conversation> conversations, size_t m,
                     const ModalityInfo& info, int64_t longest) {
  Modality modality;
  modality.name = info.name;
  for (int64_t s = 0; s < info.num_streams; ++s) {
    // Files often hold one object four times; one padded copy serves all such streams.
    const bool same_as_previous =
        s > 0 && std::all_of(conversations.begin(), conversations.end(),
                             [&](const auto& c) { return IsSameAsPrevious(c.features[m], s); });
    modality.streams.push_back(same_as_previous
                                   ? modality.streams.back()
                                   : PadStream(conversations, m, s, longest, info.width));
  }
  return modality;
}

// Batch::evidence: false for the modalities that an utterance lacks, and on padding.
torch::Tensor EvidenceOf(absl::Span<const Conversation> conversations, const torch::Tensor& lengths,
                         int64_t longest, int64_t num_modalities) {
  torch::Tensor evidence =
      ValidRows(lengths, longest).unsqueeze(2).repeat({1, 1, num_modalities + 2});
  for (size_t b = 0; b < conversations.size(); ++b) {
    if (!conversations[b].present.defined()) continue;
    evidence[static_cast<int64_t>(b)]
        .narrow(0, 0, conversations[b].length())
        .narrow(1, 0, num_modalities)
        .copy_(conversations[b].present);
  }
  return evidence;
}

// Batch::labelled.
torch::Tensor LabelledRows(const torch::Tensor& labels) {
  const torch::Tensor has_label = labels != kUnlabelled;
  return has_label.all().item<bool>() ? torch::Tensor() : has_label.nonzero().squeeze(1);
}

// Checks names, numbers of streams and their shapes.
absl::Status CheckModalities(const Batch& batch, const DatasetInfo& info, int64_t num,
                             int64_t longest) {
  if (batch.modalities.size() != info.modalities.size()) {
    return absl::InvalidArgumentError(absl::StrCat("batch has ", batch.modalities.size(),
                                                   " modalities, want ", info.modalities.size()));
  }
  for (size_t m = 0; m < info.modalities.size(); ++m) {
    const Modality& modality = batch.modalities[m];
    const ModalityInfo& want = info.modalities[m];
    if (modality.name != want.name) {
      return absl::InvalidArgumentError(absl::StrCat(
          "batch.modalities[", m, "] is \"", modality.name, "\", want \"", want.name, "\""));
    }
    if (static_cast<int64_t>(modality.streams.size()) != want.num_streams) {
      return absl::InvalidArgumentError(absl::StrCat("batch.", want.name, " has ",
                                                     modality.streams.size(), " streams, want ",
                                                     want.num_streams));
    }
    for (const torch::Tensor& stream : modality.streams) {
      RETURN_IF_ERROR(CheckTensor(want.name, stream, {num, longest, want.width}, torch::kFloat32,
                                  absl::StrCat("B, T, D_", want.name)));
    }
  }
  return absl::OkStatus();
}

// Checks labels and which of them are labels at all.
absl::Status CheckLabels(const Batch& batch, int64_t total, int64_t num_classes) {
  RETURN_IF_ERROR(
      CheckTensor("labels", batch.labels, {total}, torch::kInt64, "N = sum of lengths"));
  if (!batch.labelled.defined()) {
    return CheckRange("labels", batch.labels, num_classes, "classes of the dataset");
  }
  if (batch.labelled.dim() != 1 || batch.labelled.size(0) > total) {
    return absl::InvalidArgumentError(absl::StrCat("batch.labelled has shape ",
                                                   ShapeString(batch.labelled.sizes()),
                                                   ", want [L] with L at most N = ", total));
  }
  if (batch.labelled.size(0) == 0) return absl::OkStatus();
  RETURN_IF_ERROR(CheckRange("labelled", batch.labelled, total, "utterances of the batch"));
  return CheckRange("labels", batch.labels.index_select(0, batch.labelled), num_classes,
                    "classes of the dataset");
}

}  // namespace

torch::Tensor ValidRows(const torch::Tensor& lengths, int64_t max_length) {
  return torch::arange(max_length).unsqueeze(0) < lengths.unsqueeze(1);
}

torch::Tensor PackedRows(const torch::Tensor& lengths, int64_t max_length) {
  return ValidRows(lengths, max_length).flatten().nonzero().squeeze(1);
}

torch::Tensor Pack(const torch::Tensor& padded, const torch::Tensor& lengths) {
  return padded.flatten(0, 1).index_select(0, PackedRows(lengths, padded.size(1)));
}

Batch MakeBatch(absl::Span<const Conversation> conversations, const DatasetInfo& info) {
  const int64_t num = static_cast<int64_t>(conversations.size());
  Batch batch;
  batch.lengths = torch::empty({num}, torch::kInt64);
  int64_t longest = 0;
  for (int64_t b = 0; b < num; ++b) {
    batch.lengths[b] = conversations[b].length();
    longest = std::max(longest, conversations[b].length());
  }
  for (size_t m = 0; m < info.modalities.size(); ++m) {
    batch.modalities.push_back(PadModality(conversations, m, info.modalities[m], longest));
  }
  batch.speakers = torch::zeros({num, longest}, torch::kInt64);
  std::vector<torch::Tensor> labels;
  for (int64_t b = 0; b < num; ++b) {
    batch.speakers[b].narrow(0, 0, conversations[b].length()).copy_(conversations[b].speakers);
    labels.push_back(conversations[b].labels);
  }
  batch.labels = torch::cat(labels);
  batch.labelled = LabelledRows(batch.labels);
  batch.evidence = EvidenceOf(conversations, batch.lengths, longest,
                              static_cast<int64_t>(info.modalities.size()));
  batch.scope = info.context;
  batch.context = info.context == ContextScope::kPast ? PastContext(batch.lengths, longest)
                                                      : WholeContext(batch.lengths, longest);
  return batch;
}

absl::Status ValidateBatch(const Batch& batch, const DatasetInfo& info) {
  if (!batch.lengths.defined() || batch.lengths.dim() != 1 || batch.lengths.size(0) < 1 ||
      batch.lengths.scalar_type() != torch::kInt64 || !batch.lengths.device().is_cpu()) {
    return absl::InvalidArgumentError(
        "batch.lengths must be a [B] int64 tensor on the CPU with B >= 1");
  }
  const int64_t num = batch.lengths.size(0);
  if (!batch.speakers.defined() || batch.speakers.dim() != 2 || batch.speakers.size(1) < 1) {
    return absl::InvalidArgumentError("batch.speakers must be a [B, T] int64 tensor with T >= 1");
  }
  const int64_t longest = batch.speakers.size(1);
  if (batch.lengths.min().item<int64_t>() < 1 || batch.lengths.max().item<int64_t>() > longest) {
    return absl::InvalidArgumentError(absl::StrCat(
        "batch.lengths holds [",
        absl::StrJoin(absl::MakeSpan(batch.lengths.contiguous().data_ptr<int64_t>(), num), ", "),
        "], want each between 1 and T = ", longest));
  }
  const int64_t total = batch.lengths.sum().item<int64_t>();
  RETURN_IF_ERROR(CheckModalities(batch, info, num, longest));
  RETURN_IF_ERROR(CheckTensor("speakers", batch.speakers, {num, longest}, torch::kInt64, "B, T"));
  RETURN_IF_ERROR(
      CheckTensor("context", batch.context, {num, longest, longest}, torch::kBool, "B, T, T"));
  if (batch.evidence.defined()) {
    const auto sources = static_cast<int64_t>(info.modalities.size()) + 2;
    RETURN_IF_ERROR(CheckTensor("evidence", batch.evidence, {num, longest, sources}, torch::kBool,
                                "B, T, M + 2"));
  }
  RETURN_IF_ERROR(
      CheckRange("speakers", batch.speakers, info.num_speakers, "speakers of the dataset"));
  return CheckLabels(batch, total, info.num_classes());
}

}  // namespace cmerc
