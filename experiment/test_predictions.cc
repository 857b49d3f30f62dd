#include "experiment/test_predictions.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "metrics/report.pb.h"

namespace cmerc {
namespace {

// The line with an id that is a number in quotes, which is what a message takes.
std::string WithQuotedId(const std::string& line) {
  constexpr absl::string_view kBegin = "{\"id\":";
  const size_t begin = kBegin.size();
  if (!absl::StartsWith(line, kBegin) || begin >= line.size() ||
      !(line[begin] == '-' || absl::ascii_isdigit(line[begin]))) {
    return line;
  }
  const size_t end = std::min(line.find_first_not_of("-0123456789", begin), line.size());
  return absl::StrCat(kBegin, "\"", line.substr(begin, end - begin), "\"", line.substr(end));
}

std::optional<int32_t> PositionOf(const std::string& name, const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<int32_t>(found - names.begin());
}

// The names of the classes that the utterances have probabilities for, sorted.
std::vector<std::string> ClassNames(const ConversationPredictions& one) {
  std::vector<std::string> names;
  if (one.utterances().empty()) return names;
  for (const auto& [name, probability] : one.utterances(0).probabilities()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

// Appends labels and predictions of a line of this version; false where they are no classes.
bool AppendNames(const ConversationPredictions& one, const std::vector<std::string>& class_names,
                 TestPredictions* result) {
  for (const ConversationPredictions::Utterance& utterance : one.utterances()) {
    const std::optional<int32_t> label = PositionOf(utterance.true_label(), class_names);
    const std::optional<int32_t> predicted = PositionOf(utterance.label(), class_names);
    if (!label.has_value() || !predicted.has_value()) return false;
    result->labels.push_back(*label);
    result->predicted.push_back(*predicted);
  }
  result->lengths.push_back(one.utterances_size());
  return true;
}

// Appends labels and predictions of a line of an earlier version; false where they do not fit.
bool AppendNumbers(const ConversationPredictions& one, TestPredictions* result) {
  if (one.labels_size() != one.predicted_size() || one.labels_size() != one.probabilities_size()) {
    return false;
  }
  for (int i = 0; i < one.labels_size(); ++i) {
    for (const int32_t c : {one.labels(i), one.predicted(i)}) {
      if (c < 0 || c >= one.probabilities(i).values_size()) return false;
    }
  }
  result->lengths.push_back(one.labels_size());
  result->labels.insert(result->labels.end(), one.labels().begin(), one.labels().end());
  result->predicted.insert(result->predicted.end(), one.predicted().begin(), one.predicted().end());
  return true;
}

}  // namespace

absl::StatusOr<TestPredictions> ReadTestPredictions(const std::string& path,
                                                    std::vector<std::string> class_names) {
  TestPredictions result;
  std::ifstream in(path, std::ios::binary);
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a PredictedConversation has more
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    ConversationPredictions one;
    const auto status =
        google::protobuf::util::JsonStringToMessage(WithQuotedId(line), &one, options);
    if (class_names.empty()) class_names = ClassNames(one);
    const bool usable = status.ok() && one.has_id() &&
                        (one.utterances().empty() ? AppendNumbers(one, &result)
                                                  : AppendNames(one, class_names, &result));
    if (!usable) {
      return absl::DataLossError(absl::StrCat(
          path, ":", number,
          ": cannot be read as predictions; remove the folder of this run and run it again"));
    }
    result.ids.push_back(one.id());
  }
  return result;
}

}  // namespace cmerc
