#include "calibration/extractors.h"

#include "absl/strings/str_cat.h"

namespace cmerc {

Extractors ExtractorsOf(const DatasetDescription& trained) {
  Extractors extractors;
  for (const DatasetDescription::Modality& modality : trained.modalities()) {
    if (modality.has_extractor()) extractors[modality.name()] = modality.extractor();
  }
  return extractors;
}

void SetExtractors(const Extractors& extractors, DatasetDescription* description) {
  for (DatasetDescription::Modality& modality : *description->mutable_modalities()) {
    const auto found = extractors.find(modality.name());
    if (found != extractors.end()) modality.set_extractor(found->second);
  }
}

absl::Status CheckExtractors(const Extractors& trained, const Extractors& given) {
  for (const auto& [modality, extractor] : given) {
    const auto found = trained.find(modality);
    if (found == trained.end() || found->second == extractor) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "extractors.", modality, " is \"", extractor, "\", want \"", found->second,
        "\", with whose features this model was trained: those of another one mean something else; "
        "extract them with that one, or train on features of this one (docs/raw.md)"));
  }
  return absl::OkStatus();
}

}  // namespace cmerc
