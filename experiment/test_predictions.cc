#include "experiment/test_predictions.h"

#include <google/protobuf/util/json_util.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "metrics/report.pb.h"

namespace cmerc {

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
      for (const int32_t c : {one.labels(i), one.predicted(i)}) {
        usable = usable && c >= 0 && c < one.probabilities(i).values_size();
      }
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
