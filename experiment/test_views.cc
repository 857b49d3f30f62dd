#include "experiment/test_views.h"

#include <google/protobuf/util/json_util.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "metrics/report.pb.h"

namespace cmerc {

absl::StatusOr<TestViews> ReadTestViews(const std::string& path) {
  TestViews result;
  std::ifstream in(path, std::ios::binary);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    ConversationViews one;
    const auto status = google::protobuf::util::JsonStringToMessage(line, &one);
    bool usable = status.ok();
    std::map<std::string, std::vector<double>>& without = result.without;
    for (const LogProbsWithout& view : one.without()) {
      std::vector<double>& all = without[view.view()];
      usable = usable && view.log_probs_size() == one.log_probs_size() &&
               all.size() == result.log_probs.size();
      all.insert(all.end(), view.log_probs().begin(), view.log_probs().end());
    }
    result.ids.push_back(one.id());
    result.lengths.push_back(one.log_probs_size());
    result.log_probs.insert(result.log_probs.end(), one.log_probs().begin(), one.log_probs().end());
    for (const auto& [view, all] : without)
      usable = usable && all.size() == result.log_probs.size();
    if (usable) continue;
    return absl::DataLossError(absl::StrCat(
        path, ":", number,
        ": cannot be read as predictions; remove the folder of this run and run it again"));
  }
  return result;
}

void Append(const TestViews& more, TestViews* all) {
  const bool first = all->ids.empty();
  all->ids.insert(all->ids.end(), more.ids.begin(), more.ids.end());
  all->lengths.insert(all->lengths.end(), more.lengths.begin(), more.lengths.end());
  all->log_probs.insert(all->log_probs.end(), more.log_probs.begin(), more.log_probs.end());
  if (first) all->without = more.without;
  for (auto view = all->without.begin(); !first && view != all->without.end();) {
    const auto found = more.without.find(view->first);
    if (found == more.without.end()) {
      view = all->without.erase(view);
      continue;
    }
    view->second.insert(view->second.end(), found->second.begin(), found->second.end());
    ++view;
  }
}

}  // namespace cmerc
