// What users can act on, as text for people: prediction sets, and declining to answer.
#ifndef CMERC_METRICS_ACTING_TEXT_H_
#define CMERC_METRICS_ACTING_TEXT_H_

#include <string>

#include "metrics/report.pb.h"

namespace cmerc {

// The coverage and the sizes of prediction sets, over all utterances and of each class, and what
// they promise. Ends with a newline.
std::string FormatSets(const SetReport& report);

// The share that is answered and its accuracy at each threshold, that which was asked for marked,
// and AURC and E-AURC. Ends with a newline.
std::string FormatRiskCoverage(const RiskCoverage& curve);

}  // namespace cmerc

#endif  // CMERC_METRICS_ACTING_TEXT_H_
