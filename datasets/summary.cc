#include "datasets/summary.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "torch/types.h"

namespace cmerc {
namespace {

constexpr size_t kShown = 5;  // names in a warning

// "a, b, c and 4 more".
std::string Some(const std::vector<std::string>& names) {
  const std::vector<std::string> shown(names.begin(),
                                       names.begin() + std::min(names.size(), kShown));
  return absl::StrCat(
      absl::StrJoin(shown, ", "),
      names.size() > kShown ? absl::StrCat(" and ", names.size() - kShown, " more") : "");
}

std::string Percent(int64_t part, int64_t whole) {
  return absl::StrFormat("%.1f %%", whole == 0 ? 0 : 100.0 * part / whole);
}

uint64_t Mix(uint64_t hash, uint64_t value) {
  return (hash ^ value) * 0x9E3779B97F4A7C15u + (hash >> 29);
}

// Of the bits of one utterance's features in one stream.
uint64_t HashOf(absl::Span<const float> values) {
  return std::hash<std::string_view>()(std::string_view(
      reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
}

// Sum, range and constancy of the features of a modality.
class ModalityCounter {
 public:
  explicit ModalityCounter(const ModalityInfo& info)
      : width_(info.width),
        min_of_column_(info.num_streams * info.width, std::numeric_limits<float>::infinity()),
        max_of_column_(info.num_streams * info.width, -std::numeric_limits<float>::infinity()) {}

  void Add(int64_t stream, absl::Span<const float> row, bool is_train) {
    for (int64_t d = 0; d < width_; ++d) {
      const float value = row[d];
      min_ = std::min(min_, value);
      max_ = std::max(max_, value);
      sum_ += value;
      sum_of_squares_ += double{value} * value;
      if (!is_train) continue;
      float& min = min_of_column_[stream * width_ + d];
      float& max = max_of_column_[stream * width_ + d];
      min = std::min(min, value);
      max = std::max(max, value);
    }
    count_ += width_;
  }

  ModalitySummary Summary() const {
    if (count_ == 0) return {};
    const double mean = sum_ / count_;
    return {min_, max_, mean, std::sqrt(std::max(0.0, sum_of_squares_ / count_ - mean * mean))};
  }

  // "3" or "1:3" (stream 1, column 3): what has one value in all of train.
  std::vector<std::string> ConstantColumns() const {
    std::vector<std::string> columns;
    const bool has_streams = static_cast<int64_t>(min_of_column_.size()) > width_;
    for (size_t i = 0; i < min_of_column_.size(); ++i) {
      if (min_of_column_[i] != max_of_column_[i]) continue;
      columns.push_back(has_streams ? absl::StrCat(i / width_, ":", i % width_)
                                    : absl::StrCat(i % width_));
    }
    return columns;
  }

 private:
  const int64_t width_;
  float min_ = std::numeric_limits<float>::infinity();
  float max_ = -std::numeric_limits<float>::infinity();
  double sum_ = 0;
  double sum_of_squares_ = 0;
  int64_t count_ = 0;
  std::vector<float> min_of_column_;  // over train
  std::vector<float> max_of_column_;
};

class Summarizer {
 public:
  explicit Summarizer(const Dataset& dataset) : dataset_(dataset) {
    summary_.info = dataset.info();
    for (const ModalityInfo& modality : summary_.info.modalities) {
      counters_.emplace_back(modality);
      zero_rows_.push_back({});
    }
  }

  absl::StatusOr<DatasetSummary> Run(absl::FunctionRef<void(int64_t done)> progress) {
    int64_t done = 0;
    for (const auto& [split, name] :
         {std::pair(Split::kTrain, "train"), {Split::kValid, "valid"}, {Split::kTest, "test"}}) {
      SplitSummary& entry = summary_.splits.emplace_back();
      entry.name = name;
      entry.class_counts.assign(summary_.info.num_classes(), 0);
      entry.speaker_counts.assign(summary_.info.num_speakers, 0);
      for (std::vector<int64_t>& counts : zero_rows_) counts.push_back(0);
      for (const int64_t index : dataset_.split(split)) {
        const absl::StatusOr<Conversation> conversation = dataset_.Get(index);
        if (!conversation.ok()) return conversation.status();
        Add(*conversation, &entry);
        progress(++done);
      }
    }
    for (const ModalityCounter& counter : counters_) {
      summary_.modalities.push_back(counter.Summary());
    }
    AddWarnings();
    return std::move(summary_);
  }

 private:
  // Where features were first seen.
  struct Seen {
    size_t split;
    std::string id;
  };

  void Add(const Conversation& conversation, SplitSummary* split) {
    const int64_t length = conversation.length();
    split->shortest = split->conversations == 0 ? length : std::min(split->shortest, length);
    split->longest = std::max(split->longest, length);
    ++split->conversations;
    split->utterances += length;
    const torch::Tensor labels = conversation.labels.contiguous();
    const torch::Tensor speakers = conversation.speakers.contiguous();
    for (int64_t i = 0; i < length; ++i) {
      ++split->class_counts[labels.data_ptr<int64_t>()[i]];
      ++split->speaker_counts[speakers.data_ptr<int64_t>()[i]];
    }
    std::vector<uint64_t> hashes(length, 0);
    const size_t split_index = summary_.splits.size() - 1;
    for (size_t m = 0; m < conversation.features.size(); ++m) {
      std::vector<char> is_zero(length, 1);
      const std::vector<torch::Tensor>& streams = conversation.features[m];
      for (size_t s = 0; s < streams.size(); ++s) {
        const torch::Tensor values = streams[s].contiguous();
        const int64_t width = values.size(1);
        const bool is_copy = s > 0 && streams[s].is_same(streams[s - 1]);
        for (int64_t i = 0; i < length; ++i) {
          const absl::Span<const float> row(values.data_ptr<float>() + i * width, width);
          counters_[m].Add(static_cast<int64_t>(s), row, split_index == 0);
          if (is_copy) continue;
          hashes[i] = Mix(hashes[i], HashOf(row));
          is_zero[i] = is_zero[i] != 0 &&
                       std::all_of(row.begin(), row.end(), [](float v) { return v == 0; });
        }
      }
      zero_rows_[m][split_index] += std::count(is_zero.begin(), is_zero.end(), 1);
    }
    uint64_t whole = 0;
    for (const uint64_t hash : hashes) {
      whole = Mix(whole, hash);
      const auto [first, is_new] = utterances_.emplace(hash, Seen{split_index, conversation.id});
      if (!is_new && first->second.split != split_index) {
        ++shared_utterances_[{first->second.split, split_index}];
      }
    }
    const auto [first, is_new] = whole_.emplace(whole, Seen{split_index, conversation.id});
    if (!is_new && first->second.split != split_index) {
      shared_conversations_[{first->second.split, split_index}].push_back(
          absl::StrCat(first->second.id, " = ", conversation.id));
    }
  }

  template <typename... Parts>
  void Warn(const Parts&... parts) {
    summary_.warnings.push_back(absl::StrCat(parts...));
  }

  void AddWarnings() {
    const DatasetInfo& info = summary_.info;
    const SplitSummary& train = summary_.splits[0];
    for (const SplitSummary& split : summary_.splits) {
      if (split.conversations == 0) {
        Warn("the ", split.name, " split is empty");
        continue;
      }
      std::vector<std::string> absent;
      for (int64_t c = 0; c < info.num_classes(); ++c) {
        if (split.class_counts[c] == 0) absent.push_back(info.class_names[c]);
      }
      if (!absent.empty()) Warn(split.name, " has no utterance of class ", Some(absent));
      std::vector<std::string> strangers;
      for (int64_t s = 0; s < info.num_speakers; ++s) {
        if (split.speaker_counts[s] == 0 || train.speaker_counts[s] > 0) continue;
        strangers.push_back(info.speaker_names.empty() ? absl::StrCat(s) : info.speaker_names[s]);
      }
      if (!strangers.empty()) Warn(split.name, " has speakers that train lacks: ", Some(strangers));
    }
    for (size_t m = 0; m < info.modalities.size(); ++m) {
      const std::string& name = info.modalities[m].name;
      const std::vector<std::string> constant = counters_[m].ConstantColumns();
      if (!constant.empty() && train.utterances > 1) {
        Warn(name, ": ", constant.size(), " of ",
             info.modalities[m].width * info.modalities[m].num_streams,
             " features never vary in train: ", Some(constant));
      }
      for (size_t s = 0; s < summary_.splits.size(); ++s) {
        if (zero_rows_[m][s] == 0) continue;
        Warn(name, ": ", zero_rows_[m][s], " utterances of ", summary_.splits[s].name, " (",
             Percent(zero_rows_[m][s], summary_.splits[s].utterances),
             ") are all 0; are these features missing?");
      }
    }
    for (const auto& [pair, ids] : shared_conversations_) {
      Warn("leak: ", summary_.splits[pair.first].name, " and ", summary_.splits[pair.second].name,
           " share ", ids.size(), " conversations with the same features: ", Some(ids));
    }
    for (const auto& [pair, count] : shared_utterances_) {
      Warn("leak? ", count, " utterances of ", summary_.splits[pair.second].name, " (",
           Percent(count, summary_.splits[pair.second].utterances),
           ") have exactly the features of one of ", summary_.splits[pair.first].name);
    }
  }

  const Dataset& dataset_;
  DatasetSummary summary_;
  std::vector<ModalityCounter> counters_;
  std::vector<std::vector<int64_t>> zero_rows_;  // [modality][split]
  std::unordered_map<uint64_t, Seen> utterances_;
  std::unordered_map<uint64_t, Seen> whole_;  // conversations
  // (earlier split, later split) -> what they share
  std::map<std::pair<size_t, size_t>, int64_t> shared_utterances_;
  std::map<std::pair<size_t, size_t>, std::vector<std::string>> shared_conversations_;
};

// Columns that fit what they hold: the first flushed left, the others right.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const std::vector<std::string>& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const std::vector<std::string>& row : rows) {
    std::string line = row[0] + std::string(widths[0] - row[0].size(), ' ');
    for (size_t i = 1; i < row.size(); ++i) {
      absl::StrAppend(&line, "  ", std::string(widths[i] - row[i].size(), ' '), row[i]);
    }
    absl::StripTrailingAsciiWhitespace(&line);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

}  // namespace

absl::StatusOr<DatasetSummary> Summarize(const Dataset& dataset,
                                         absl::FunctionRef<void(int64_t done)> progress) {
  return Summarizer(dataset).Run(progress);
}

std::string FormatSummary(const DatasetSummary& summary) {
  const DatasetInfo& info = summary.info;
  std::vector<std::vector<std::string>> sizes = {
      {"split", "conversations", "utterances", "shortest", "mean", "longest", "speakers"}};
  std::vector<std::vector<std::string>> classes = {{"utterances of class"}};
  for (const SplitSummary& split : summary.splits) {
    const int64_t speakers = std::count_if(split.speaker_counts.begin(), split.speaker_counts.end(),
                                           [](int64_t count) { return count > 0; });
    const double mean = split.conversations == 0 ? 0 : 1.0 * split.utterances / split.conversations;
    sizes.push_back({split.name, absl::StrCat(split.conversations), absl::StrCat(split.utterances),
                     absl::StrCat(split.shortest), absl::StrFormat("%.1f", mean),
                     absl::StrCat(split.longest), absl::StrCat(speakers)});
    classes[0].insert(classes[0].end(), {split.name, ""});
  }
  for (int64_t c = 0; c < info.num_classes(); ++c) {
    std::vector<std::string>& row = classes.emplace_back();
    row.push_back(info.class_names[c]);
    for (const SplitSummary& split : summary.splits) {
      row.push_back(absl::StrCat(split.class_counts[c]));
      row.push_back(Percent(split.class_counts[c], split.utterances));
    }
  }
  std::vector<std::vector<std::string>> modalities = {
      {"modality", "width", "streams", "min", "max", "mean", "deviation"}};
  for (size_t m = 0; m < info.modalities.size(); ++m) {
    const ModalitySummary& s = summary.modalities[m];
    modalities.push_back({info.modalities[m].name, absl::StrCat(info.modalities[m].width),
                          absl::StrCat(info.modalities[m].num_streams),
                          absl::StrFormat("%.4g", s.min), absl::StrFormat("%.4g", s.max),
                          absl::StrFormat("%.4g", s.mean), absl::StrFormat("%.4g", s.deviation)});
  }
  std::string text =
      absl::StrCat(FormatTable(sizes), "\n", FormatTable(classes), "\n", FormatTable(modalities));
  if (!info.speaker_names.empty()) {
    absl::StrAppend(&text, "\nspeakers  ", info.num_speakers, ": ", Some(info.speaker_names), "\n");
  }
  for (size_t i = 0; i < summary.warnings.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "\n" : "", "warning: ", summary.warnings[i], "\n");
  }
  return text;
}

}  // namespace cmerc
