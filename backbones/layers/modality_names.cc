#include "backbones/layers/modality_names.h"

#include <set>

#include "absl/strings/str_cat.h"

namespace cmerc {

std::string ShortModalityName(const std::string& modality) {
  if (modality == "text") return "l";
  if (modality == "audio") return "a";
  if (modality == "visual") return "v";
  return modality;
}

int64_t FindModality(const DatasetInfo& info, const std::string& name) {
  const std::string& wanted = name.empty() ? "text" : name;
  for (size_t m = 0; m < info.modalities.size(); ++m) {
    if (info.modalities[m].name == wanted) return static_cast<int64_t>(m);
  }
  return name.empty() ? 0 : -1;
}

std::vector<std::string> ModalityNameErrors(const DatasetInfo& info) {
  if (info.modalities.empty()) return {"the data has no modality"};
  std::vector<std::string> errors;
  std::set<std::string> taken;
  for (const ModalityInfo& modality : info.modalities) {
    if (modality.name.empty() || modality.name.find('.') != std::string::npos ||
        !taken.insert(ShortModalityName(modality.name)).second) {
      errors.push_back(absl::StrCat("the data has a modality \"", modality.name,
                                    "\"; parameters are named after modalities, so their names "
                                    "must not be empty, hold a '.', or be another's short name "
                                    "(l for text, a for audio, v for visual)"));
    }
  }
  return errors;
}

}  // namespace cmerc
