#include "tests/calibration/stub_losses.h"

#include <google/protobuf/text_format.h>

#include <utility>

#include "tests/calibration/stub.h"

namespace cmerc {

std::string Ranking(double weight) {
  return "losses { weight: " + std::to_string(weight) +
         " loss { [type.googleapis.com/cmerc.CalibrationRankingOptions] {} } }";
}

RunConfig ConfigOf(const std::string& text) {
  RunConfig config;
  TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(text, &config), text);
  return config;
}

std::vector<WeightedLoss> StubLosses(const std::string& text) {
  absl::StatusOr<std::vector<WeightedLoss>> losses = MakeLosses(ConfigOf(text), StubInfo());
  TORCH_CHECK(losses.ok(), losses.status().ToString());
  return *std::move(losses);
}

}  // namespace cmerc
