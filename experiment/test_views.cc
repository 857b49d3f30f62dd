#include "experiment/test_views.h"

#include <google/protobuf/util/json_util.h>

#include "core/status.h"
#include "experiment/run_files.h"
#include "metrics/report.pb.h"

namespace cmerc {
namespace {

// Appends the numbers of a list whose entries are null where those of `labels` are; false where it
// is another.
bool Append(const google::protobuf::ListValue& list, const google::protobuf::ListValue& labels,
            std::vector<double>* numbers) {
  if (list.values_size() != labels.values_size()) return false;
  for (int i = 0; i < list.values_size(); ++i) {
    const google::protobuf::Value& value = list.values(i);
    if (value.kind_case() != labels.values(i).kind_case()) return false;
    if (value.has_null_value()) continue;
    if (!value.has_number_value()) return false;
    numbers->push_back(value.number_value());
  }
  return true;
}

// Appends the numbers of a list of numbers alone where those of `labels` are; false where it is
// another.
bool AppendLargest(const google::protobuf::ListValue& list,
                   const google::protobuf::ListValue& labels, std::vector<double>* numbers) {
  if (list.values_size() != labels.values_size()) return false;
  for (int i = 0; i < list.values_size(); ++i) {
    if (!list.values(i).has_number_value()) return false;
    if (labels.values(i).has_number_value()) numbers->push_back(list.values(i).number_value());
  }
  return true;
}

// Appends the largest log-probabilities of a line, unless it has none, behind those of the lines
// before it, to which `result` has the others of all; false where they do not fit each other.
bool AppendAllLargest(const ConversationViews& one, TestViews* result) {
  const bool known = one.has_largest_log_probs();
  if (known && !AppendLargest(one.largest_log_probs(), one.log_probs(), &result->largest)) {
    return false;
  }
  for (const LogProbsWithout& view : one.without()) {
    if (view.has_largest_log_probs() != known) return false;
    if (known && !AppendLargest(view.largest_log_probs(), one.log_probs(),
                                &result->largest_without[view.view()])) {
      return false;
    }
  }
  return result->largest.empty() || result->largest.size() == result->log_probs.size();
}

// Appends what `more` has of each view, and leaves out the views that one of them lacks.
void AppendByView(const TestViews::ByView& more, TestViews::ByView* all) {
  for (auto view = all->begin(); view != all->end();) {
    const auto found = more.find(view->first);
    if (found == more.end()) {
      view = all->erase(view);
      continue;
    }
    view->second.insert(view->second.end(), found->second.begin(), found->second.end());
    ++view;
  }
}

// Appends the labelled utterances of a line; false where it is no ConversationViews, or its lists
// do not fit each other or the lines before.
bool AppendLine(const std::string& line, TestViews* result) {
  ConversationViews one;
  if (!google::protobuf::util::JsonStringToMessage(line, &one).ok()) return false;
  const size_t before = result->log_probs.size();
  if (!Append(one.log_probs(), one.log_probs(), &result->log_probs)) return false;
  const size_t labelled = result->log_probs.size() - before;
  for (const LogProbsWithout& view : one.without()) {
    std::vector<double>& all = result->without[view.view()];
    if (all.size() != before || !Append(view.log_probs(), one.log_probs(), &all)) return false;
  }
  for (const auto& [view, all] : result->without) {
    if (all.size() != result->log_probs.size()) return false;
  }
  if (!AppendAllLargest(one, result)) return false;
  if (labelled == 0) return true;
  result->ids.push_back(one.id());
  result->lengths.push_back(static_cast<int64_t>(labelled));
  return true;
}

}  // namespace

absl::StatusOr<TestViews> ReadTestViews(const std::string& path) {
  TestViews result;
  RETURN_IF_ERROR(ReadPredictionLines(
      path, [&](const std::string& line) { return AppendLine(line, &result); }));
  // Only conversations without labels may lack them where others do not.
  if (result.largest.size() != result.log_probs.size()) result.largest_without.clear();
  return result;
}

void Append(const TestViews& more, TestViews* all) {
  if (all->ids.empty()) {
    *all = more;
    return;
  }
  const auto append = [](const auto& from, auto* to) {
    to->insert(to->end(), from.begin(), from.end());
  };
  append(more.ids, &all->ids);
  append(more.lengths, &all->lengths);
  append(more.log_probs, &all->log_probs);
  append(more.largest, &all->largest);
  AppendByView(more.without, &all->without);
  AppendByView(more.largest_without, &all->largest_without);
  if (all->largest.size() == all->log_probs.size()) return;
  all->largest.clear();
  all->largest_without.clear();
}

}  // namespace cmerc
