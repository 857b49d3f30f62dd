#include "core/view.h"

namespace cmerc {

std::string View::name() const {
  switch (kind) {
    case Kind::kModality:
      return modality;
    case Kind::kSameSpeaker:
      return "same_speaker";
    case Kind::kOtherSpeakers:
      return "other_speakers";
  }
  return "";
}

std::vector<View> ModalityViews(const DatasetInfo& info) {
  std::vector<View> views;
  for (const ModalityInfo& modality : info.modalities) {
    views.push_back({View::Kind::kModality, modality.name});
  }
  return views;
}

std::vector<View> ContextViews() {
  return {{View::Kind::kSameSpeaker, ""}, {View::Kind::kOtherSpeakers, ""}};
}

std::vector<View> AllViews(const DatasetInfo& info) {
  std::vector<View> views = ModalityViews(info);
  for (View& view : ContextViews()) views.push_back(std::move(view));
  return views;
}

}  // namespace cmerc
