// A view: a batch with one source of evidence removed.
#ifndef CMERC_CORE_VIEW_H_
#define CMERC_CORE_VIEW_H_

#include <string>
#include <vector>

#include "core/dataset.h"

namespace cmerc {

struct View {
  enum class Kind {
    kModality,       // one modality's features are replaced by their mean over the conversation
    kSameSpeaker,    // no context from other utterances of the same speaker ("intra")
    kOtherSpeakers,  // no context from utterances of other speakers ("inter")
  };
  Kind kind = Kind::kModality;
  std::string modality;  // for kModality

  // "text", "audio", ... or "same_speaker", "other_speakers".
  std::string name() const;
};

inline bool operator==(const View& a, const View& b) {
  return a.kind == b.kind && a.modality == b.modality;
}

// One view per modality of the dataset, in its order.
std::vector<View> ModalityViews(const DatasetInfo& info);
// The views kSameSpeaker and kOtherSpeakers, in this order.
std::vector<View> ContextViews();
// ModalityViews(), then ContextViews(): the five views of the paper when there are three
// modalities.
std::vector<View> AllViews(const DatasetInfo& info);

}  // namespace cmerc

#endif  // CMERC_CORE_VIEW_H_
