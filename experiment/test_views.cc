#include "experiment/test_views.h"

#include <google/protobuf/util/json_util.h>

#include <fstream>

#include "absl/strings/str_cat.h"
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

}  // namespace

absl::StatusOr<TestViews> ReadTestViews(const std::string& path) {
  TestViews result;
  std::ifstream in(path, std::ios::binary);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    ConversationViews one;
    const auto status = google::protobuf::util::JsonStringToMessage(line, &one);
    const size_t before = result.log_probs.size();
    bool usable = status.ok() && Append(one.log_probs(), one.log_probs(), &result.log_probs);
    const size_t labelled = result.log_probs.size() - before;
    std::map<std::string, std::vector<double>>& without = result.without;
    for (const LogProbsWithout& view : one.without()) {
      std::vector<double>& all = without[view.view()];
      usable = usable && all.size() == before && Append(view.log_probs(), one.log_probs(), &all);
    }
    for (const auto& [view, all] : without) {
      usable = usable && all.size() == result.log_probs.size();
    }
    if (!usable) {
      return absl::DataLossError(absl::StrCat(
          path, ":", number,
          ": cannot be read as predictions; remove the folder of this run and run it again"));
    }
    if (labelled == 0) continue;
    result.ids.push_back(one.id());
    result.lengths.push_back(static_cast<int64_t>(labelled));
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
