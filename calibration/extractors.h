// What has made the features of each modality, by name and version: those of another extractor mean
// something else, although they may have the same width.
#ifndef CMERC_CALIBRATION_EXTRACTORS_H_
#define CMERC_CALIBRATION_EXTRACTORS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "storage/checkpoint.pb.h"

namespace cmerc {

// Modality -> its extractor; without an entry nobody says.
using Extractors = std::map<std::string, std::string>;

// What a checkpoint says of the features its model was trained with, and back.
Extractors ExtractorsOf(const DatasetDescription& trained);
void SetExtractors(const Extractors& extractors, DatasetDescription* description);

// InvalidArgument, without the place: the features of a modality were made by another extractor
// than those that the model was `trained` with. Where either does not say, nothing is compared.
absl::Status CheckExtractors(const Extractors& trained, const Extractors& given);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_EXTRACTORS_H_
