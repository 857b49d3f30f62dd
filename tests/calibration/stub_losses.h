// Losses for the data of stub.h, from the text of a config.
#ifndef CMERC_TESTS_CALIBRATION_STUB_LOSSES_H_
#define CMERC_TESTS_CALIBRATION_STUB_LOSSES_H_

#include <string>
#include <vector>

#include "calibration/weighted_losses.h"
#include "config/run.pb.h"

namespace cmerc {

// The loss of the task.
inline constexpr char kNll[] = "losses { loss { [type.googleapis.com/cmerc.NllOptions] {} } }";

// The ranking loss of all views, with this weight.
std::string Ranking(double weight);

// A config that says `text` alone. Throws where that does not parse.
RunConfig ConfigOf(const std::string& text);

// The losses of ConfigOf(text) for StubInfo(). Throws where MakeLosses() refuses them.
std::vector<WeightedLoss> StubLosses(const std::string& text);

}  // namespace cmerc

#endif  // CMERC_TESTS_CALIBRATION_STUB_LOSSES_H_
