#include "calibration/random_removal.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/status.h"

namespace cmerc {
namespace {

using torch::Tensor;
using Words = std::vector<uint32_t>;

void Add(uint64_t number, Words* words) {
  words->push_back(static_cast<uint32_t>(number));
  words->push_back(static_cast<uint32_t>(number >> 32));
}

std::mt19937 RandomOf(const Words& words) {
  std::seed_seq seed(words.begin(), words.end());
  return std::mt19937(seed);
}

// Conversation::present, written out.
Tensor WrittenOut(const Conversation& conversation, const DatasetInfo& info) {
  if (conversation.present.defined()) return conversation.present;
  return torch::ones({conversation.length(), static_cast<int64_t>(info.modalities.size())},
                     torch::kBool);
}

}  // namespace

std::mt19937 RandomOf(uint64_t seed, int epoch, int64_t step) {
  Words words;
  Add(seed, &words);
  Add(static_cast<uint64_t>(epoch), &words);
  Add(static_cast<uint64_t>(step), &words);
  return RandomOf(words);
}

std::mt19937 RandomOf(uint64_t seed, absl::string_view name) {
  Words words;
  Add(seed, &words);
  for (const char c : name) words.push_back(static_cast<unsigned char>(c));
  return RandomOf(words);
}

double DrawFraction(std::mt19937& random) { return static_cast<double>(random()) * 0x1p-32; }

Tensor RemoveAtRandom(const Tensor& present, double rate, std::mt19937& random) {
  Tensor left = present.clone(at::MemoryFormat::Contiguous);
  const int64_t num_modalities = left.size(1);
  for (int64_t i = 0; i < left.size(0); ++i) {
    bool* const row = left.data_ptr<bool>() + i * num_modalities;
    const auto has = std::count(row, row + num_modalities, true);
    auto kept = static_cast<int64_t>(DrawFraction(random) * static_cast<double>(has));
    for (int64_t m = 0; m < num_modalities; ++m) {
      const double draw = DrawFraction(random);
      if (!row[m] || kept-- == 0) continue;
      row[m] = draw * static_cast<double>(has - 1) >= rate * static_cast<double>(has);
    }
  }
  return left;
}

absl::Status RemoveAtRandom(double rate, const FeatureMeans& means, const DatasetInfo& info,
                            std::mt19937& random, Conversation& conversation) {
  conversation.present = RemoveAtRandom(WrittenOut(conversation, info), rate, random);
  return FillMissing(means, info, conversation);
}

absl::StatusOr<ThinnedData> ThinOut(const PreparedData& data, const std::vector<int64_t>& indices,
                                    double rate, uint64_t seed) {
  ThinnedData result{data};
  int64_t had = 0, left = 0;
  bool any_has_two = false;
  for (const int64_t index : indices) {
    Conversation& conversation = result.data.conversations[index];
    const Tensor present = WrittenOut(conversation, data.info);
    any_has_two = any_has_two || present.sum(1).max().item<int64_t>() > 1;
    had += present.sum().item<int64_t>();
    std::mt19937 random = RandomOf(seed, conversation.id);
    if (data.late != nullptr) {
      // What is gone is filled in when the features are loaded.
      conversation.present = RemoveAtRandom(present, rate, random);
    } else {
      RETURN_IF_ERROR(Annotate(RemoveAtRandom(rate, data.means, data.info, random, conversation),
                               absl::StrCat("conversation ", conversation.id)));
    }
    left += conversation.present.sum().item<int64_t>();
  }
  if (!any_has_two) {
    return absl::InvalidArgumentError(
        "no utterance has more than one modality, and each keeps one: nothing can be removed");
  }
  result.removed = static_cast<double>(had - left) / static_cast<double>(had);
  return result;
}

}  // namespace cmerc
