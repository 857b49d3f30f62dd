#include "experiment/test_predictions.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "metrics/report.pb.h"

namespace cmerc {
namespace {

// The probability of class `c` in a row; unset where there is none.
std::optional<double> ProbabilityOf(int32_t c, const google::protobuf::ListValue& row) {
  if (c < 0 || c >= row.values_size()) return std::nullopt;
  const double p = row.values(c).number_value();
  return p >= 0 && p <= 1 + 1e-3 ? std::optional<double>(p) : std::nullopt;
}

}  // namespace

absl::StatusOr<TestPredictions> ReadTestPredictions(const std::string& path) {
  TestPredictions result;
  std::ifstream in(path, std::ios::binary);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    ConversationPredictions one;
    const auto status = google::protobuf::util::JsonStringToMessage(line, &one);
    bool usable = status.ok() && one.labels_size() == one.predicted_size() &&
                  one.labels_size() == one.probabilities_size();
    for (int i = 0; usable && i < one.labels_size(); ++i) {
      const std::optional<double> truth = ProbabilityOf(one.labels(i), one.probabilities(i));
      const std::optional<double> chosen = ProbabilityOf(one.predicted(i), one.probabilities(i));
      usable = truth.has_value() && chosen.has_value();
      if (!usable) break;
      // Exponentials may round to a little above 1, and to 0.
      result.confidences.push_back(std::min(1.0, *chosen));
      result.true_log_probs.push_back(
          std::log(std::max(std::numeric_limits<double>::min(), *truth)));
    }
    if (!usable) {
      return absl::DataLossError(absl::StrCat(
          path, ":", number,
          ": cannot be read as predictions; remove the folder of this run and run it again"));
    }
    result.ids.push_back(one.id());
    result.lengths.push_back(one.labels_size());
    result.labels.insert(result.labels.end(), one.labels().begin(), one.labels().end());
    result.predicted.insert(result.predicted.end(), one.predicted().begin(), one.predicted().end());
  }
  return result;
}

}  // namespace cmerc
