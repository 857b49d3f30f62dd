#include "experiment/test_predictions.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/status.h"
#include "experiment/run_files.h"
#include "metrics/report.pb.h"

namespace cmerc {
namespace {

// Exponentials may round to 0.
double LogOf(double p) { return std::log(std::max(std::numeric_limits<double>::min(), p)); }

// Appends an utterance with these probabilities of its true and its predicted class; false where
// one is none.
bool Append(int32_t label, int32_t predicted, double of_label, double of_predicted,
            TestPredictions* result) {
  for (const double p : {of_label, of_predicted}) {
    if (!(p >= 0 && p <= 1 + 1e-3)) return false;
  }
  result->labels.push_back(label);
  result->predicted.push_back(predicted);
  // Exponentials may round to a little above 1.
  result->confidences.push_back(std::min(1.0, of_predicted));
  result->true_log_probs.push_back(LogOf(of_label));
  return true;
}

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

// Appends the logarithms of the probabilities of all classes; where a class has none, of 0.
void AppendRow(const google::protobuf::Map<std::string, double>& probabilities,
               const std::vector<std::string>& class_names, std::vector<double>* rows) {
  for (const std::string& name : class_names) {
    const auto found = probabilities.find(name);
    rows->push_back(LogOf(found == probabilities.end() ? 0 : found->second));
  }
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

// Appends a conversation of `length` labelled utterances, which have been appended, unless that is
// none.
void AppendConversation(const ConversationPredictions& one, int64_t length,
                        TestPredictions* result) {
  if (length == 0) return;
  result->ids.push_back(one.id());
  result->lengths.push_back(length);
}

// Appends the labelled utterances of a line of this version; false where they name no classes, or
// have no probabilities of them.
bool AppendNames(const ConversationPredictions& one, const std::vector<std::string>& class_names,
                 TestPredictions* result) {
  int64_t length = 0;
  for (const ConversationPredictions::Utterance& utterance : one.utterances()) {
    if (!utterance.has_true_label()) continue;
    ++length;
    const std::optional<int32_t> label = PositionOf(utterance.true_label(), class_names);
    const std::optional<int32_t> predicted = PositionOf(utterance.label(), class_names);
    const auto of_label = utterance.probabilities().find(utterance.true_label());
    const auto of_predicted = utterance.probabilities().find(utterance.label());
    const auto end = utterance.probabilities().end();
    if (!label.has_value() || !predicted.has_value() || of_label == end || of_predicted == end ||
        !Append(*label, *predicted, of_label->second, of_predicted->second, result)) {
      return false;
    }
    AppendRow(utterance.probabilities(), class_names, &result->log_probs);
    if (utterance.calibrated_probabilities().empty()) continue;
    AppendRow(utterance.calibrated_probabilities(), class_names, &result->calibrated_log_probs);
  }
  AppendConversation(one, length, result);
  return true;
}

// Appends the utterances of a line of an earlier version; false where its lists do not fit.
bool AppendNumbers(const ConversationPredictions& one, TestPredictions* result) {
  if (one.labels_size() != one.predicted_size() || one.labels_size() != one.probabilities_size()) {
    return false;
  }
  for (int i = 0; i < one.labels_size(); ++i) {
    const google::protobuf::ListValue& row = one.probabilities(i);
    for (const int32_t c : {one.labels(i), one.predicted(i)}) {
      if (c < 0 || c >= row.values_size()) return false;
    }
    if (!Append(one.labels(i), one.predicted(i), row.values(one.labels(i)).number_value(),
                row.values(one.predicted(i)).number_value(), result)) {
      return false;
    }
    for (const google::protobuf::Value& value : row.values()) {
      result->log_probs.push_back(LogOf(value.number_value()));
    }
  }
  AppendConversation(one, one.labels_size(), result);
  return true;
}

}  // namespace

absl::StatusOr<TestPredictions> ReadTestPredictions(const std::string& path,
                                                    std::vector<std::string> class_names) {
  TestPredictions result;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a PredictedConversation has more
  RETURN_IF_ERROR(ReadPredictionLines(path, [&](const std::string& line) {
    ConversationPredictions one;
    const auto status =
        google::protobuf::util::JsonStringToMessage(WithQuotedId(line), &one, options);
    if (class_names.empty()) class_names = ClassNames(one);
    return status.ok() && one.has_id() &&
           (one.utterances().empty() ? AppendNumbers(one, &result)
                                     : AppendNames(one, class_names, &result));
  }));
  if (result.calibrated_log_probs.size() != result.log_probs.size()) {
    result.calibrated_log_probs.clear();
  }
  return result;
}

void Append(const TestPredictions& more, TestPredictions* all) {
  const auto append = [](const auto& from, auto* to) {
    to->insert(to->end(), from.begin(), from.end());
  };
  append(more.ids, &all->ids);
  append(more.lengths, &all->lengths);
  append(more.labels, &all->labels);
  append(more.predicted, &all->predicted);
  append(more.confidences, &all->confidences);
  append(more.true_log_probs, &all->true_log_probs);
  append(more.log_probs, &all->log_probs);
  append(more.calibrated_log_probs, &all->calibrated_log_probs);
  if (all->calibrated_log_probs.size() != all->log_probs.size()) all->calibrated_log_probs.clear();
}

}  // namespace cmerc
