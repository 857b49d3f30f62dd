// What the sources of evidence are worth: the measures of metrics/evidence.h as means over the
// views of a model.
#ifndef CMERC_METRICS_EVIDENCE_MEASURES_H_
#define CMERC_METRICS_EVIDENCE_MEASURES_H_

#include <optional>
#include <string>
#include <vector>

#include "metrics/report.pb.h"

namespace cmerc {

struct EvidenceMeasure {
  std::string name;  // in files: "share_of_right"
  std::string head;  // in tables: "right"
  bool percent;      // a share or a score, as opposed to a log-probability
  // Of one view; unset where it was not measured.
  std::optional<double> (*of_view)(const ViewReport& view);
};

// All of them, in the order of the tables.
const std::vector<EvidenceMeasure>& EvidenceMeasures();

// The mean of `measure` over the views of a split; unset where a view lacks it and where there are
// no views.
std::optional<double> MeanOverViews(const SplitReport& split, const EvidenceMeasure& measure);
// The same of the measure with this name, which is one of EvidenceMeasures().
std::optional<double> MeanOverViews(const SplitReport& split, const std::string& name);

}  // namespace cmerc

#endif  // CMERC_METRICS_EVIDENCE_MEASURES_H_
