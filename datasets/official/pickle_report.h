// What is in a pickle of features, for people, and how a config names it.
#ifndef CMERC_DATASETS_OFFICIAL_PICKLE_REPORT_H_
#define CMERC_DATASETS_OFFICIAL_PICKLE_REPORT_H_

#include <string>

#include "absl/status/statusor.h"

namespace cmerc::datasets {

struct PickleReport {
  std::string text;  // lines: what the file is and what each of its fields holds
  // Whether it is a dict from id to features, which modality_files names.
  bool is_modality = false;
  // Lines of OfficialPicklesOptions, each with `indent` in front, that name the file; empty where
  // it is a modality or nothing of features.
  std::string options;
};

// Reads a pickle. Errors are those of pickle::Document::Open().
absl::StatusOr<PickleReport> ReportOnPickle(const std::string& path, const std::string& indent);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_OFFICIAL_PICKLE_REPORT_H_
