#include "datasets/assembly/missing_modalities.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace cmerc {
namespace {

constexpr double kMostMissingPerHeld = 256;
constexpr double kMostMissingAnyway = (int64_t{1} << 26) / sizeof(float);  // 64 MiB of features

// Returns Conversation::present with a column for each of `num_modalities`, whether or not anything
// is missing; what `conversation` has no streams of is missing.
torch::Tensor WholePresent(const Conversation& conversation, int64_t num_modalities) {
  torch::Tensor present = torch::ones({conversation.length(), num_modalities}, torch::kBool);
  if (conversation.present.defined()) {
    present.narrow(1, 0, conversation.present.size(1)).copy_(conversation.present);
  }
  for (int64_t m = 0; m < num_modalities; ++m) {
    if (conversation.features[m].empty()) present.select(1, m).fill_(false);
  }
  return present;
}

}  // namespace

torch::Tensor PresentTensor(absl::Span<const std::vector<bool>> has, int64_t length) {
  const bool is_whole =
      std::all_of(has.begin(), has.end(), [](const std::vector<bool>& of_modality) {
        return std::find(of_modality.begin(), of_modality.end(), false) == of_modality.end();
      });
  if (is_whole) return torch::Tensor();
  const auto num_modalities = static_cast<int64_t>(has.size());
  torch::Tensor present = torch::ones({length, num_modalities}, torch::kBool);
  bool* out = present.data_ptr<bool>();
  for (int64_t m = 0; m < num_modalities; ++m) {
    for (size_t i = 0; i < has[m].size(); ++i) {
      out[static_cast<int64_t>(i) * num_modalities + m] = has[m][i];
    }
  }
  return present;
}

absl::Status CheckRoomForMissing(double missing, double held) {
  if (missing <= kMostMissingPerHeld * held + kMostMissingAnyway) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "utterances lack so many features, %.3g beside %.3g that are there, that room for them would "
      "take more than %g times what the data hold; leave out a modality that hardly any utterance "
      "has",
      missing, held, kMostMissingPerHeld));
}

absl::Status FillMissing(const std::vector<ModalityInfo>& modalities,
                         std::vector<Conversation>* conversations) {
  const auto num_modalities = static_cast<int64_t>(modalities.size());
  double missing = 0;
  double held = 0;
  for (Conversation& conversation : *conversations) {
    conversation.features.resize(modalities.size());
    const torch::Tensor present = WholePresent(conversation, num_modalities);
    if (!present.any().item<bool>()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "conversation ", conversation.id,
          " has no features of any modality; leave it out, or give some utterance features"));
    }
    bool is_whole = true;
    for (int64_t m = 0; m < num_modalities; ++m) {
      const ModalityInfo& modality = modalities[m];
      const auto rows = present.select(1, m).sum().item<int64_t>();
      const double values =
          static_cast<double>(modality.width) * static_cast<double>(modality.num_streams);
      held += values * static_cast<double>(rows);
      missing += values * static_cast<double>(conversation.length() - rows);
      is_whole = is_whole && rows == conversation.length();
      if (!conversation.features[m].empty()) continue;
      const torch::Tensor zeros =
          torch::zeros({1, 1}).expand({conversation.length(), modality.width});
      conversation.features[m].assign(modality.num_streams, zeros);
    }
    conversation.present = is_whole ? torch::Tensor() : present;
  }
  return CheckRoomForMissing(missing, held);
}

}  // namespace cmerc
