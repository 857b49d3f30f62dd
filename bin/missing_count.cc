#include "bin/missing_count.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/printable.h"

namespace cmerc {

MissingCount::MissingCount(const DatasetInfo& info) : lacking_(info.modalities.size()) {
  for (const ModalityInfo& modality : info.modalities) names_.push_back(modality.name);
}

void MissingCount::Add(const Conversation& conversation) {
  utterances_ += conversation.speakers.size(0);
  if (!conversation.present.defined()) return;
  const torch::Tensor lacking = conversation.present.logical_not().sum(0);
  for (size_t m = 0; m < lacking_.size(); ++m) {
    lacking_[m] += lacking[static_cast<int64_t>(m)].item<int64_t>();
  }
}

std::string MissingCount::Summary() const {
  std::string text;
  for (size_t m = 0; m < names_.size(); ++m) {
    if (lacking_[m] > 0) absl::StrAppend(&text, ", ", lacking_[m], " without ", OneLine(names_[m]));
  }
  return text;
}

std::string MissingCount::Warning() const {
  std::vector<std::string> never;
  for (size_t m = 0; m < names_.size(); ++m) {
    if (lacking_[m] == utterances_) never.push_back(names_[m]);
  }
  if (utterances_ == 0 || never.empty()) return "";
  return absl::StrCat("no utterance has ", absl::StrJoin(never, ", "),
                      ", which the model was trained with: the mean of its training split stands "
                      "for it, and every answer lists it as missing");
}

}  // namespace cmerc
