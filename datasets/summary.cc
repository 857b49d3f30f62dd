#include "datasets/summary.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/printable.h"
#include "core/status.h"
#include "core/streams.h"
#include "datasets/assembly/in_memory.h"
#include "torch/types.h"

namespace cmerc {
namespace {

constexpr size_t kShown = 5;       // names in a warning
constexpr int64_t kLongWords = 5;  // of an utterance that people hardly say twice by chance

// Returns the first names of a list: "a, b, c, d, e and 4 more".
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

// Returns how many words a sentence has.
int64_t WordsOf(const std::string& sentence) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(sentence, absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
  return static_cast<int64_t>(words.size());
}

// Returns a hash of the bits of one utterance's features in one stream.
uint64_t HashOf(absl::Span<const float> values) {
  return std::hash<std::string_view>()(std::string_view(
      reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
}

// Counts what a summary says of a modality: mean, deviation and range of its features, and which of
// them never vary.
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

  // Returns the columns that have one value in all of train: "3", or "1:3" for column 3 of
  // stream 1.
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
      entry.missing_counts.assign(summary_.info.modalities.size(), 0);
      for (std::vector<int64_t>& counts : zero_rows_) counts.push_back(0);
      for (const int64_t index : dataset_.split(split)) {
        ASSIGN_OR_RETURN(const Conversation conversation, dataset_.Get(index));
        Add(conversation, &entry);
        progress(++done);
      }
    }
    for (const ModalityCounter& counter : counters_) {
      summary_.modalities.push_back(counter.Summary());
    }
    const absl::Span<const std::string> known = WarningsOf(dataset_);
    summary_.warnings.assign(known.begin(), known.end());
    AddWarnings();
    return std::move(summary_);
  }

 private:
  // Where features were first seen.
  struct Seen {
    size_t split;
    std::string id;
  };

  // Utterances of one split whose features another one has.
  struct Shared {
    int64_t utterances = 0;
    int64_t long_ones = 0;  // by the words of their sentences
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
      const int64_t label = labels.data_ptr<int64_t>()[i];
      ++(label == kUnlabelled ? split->unlabelled : split->class_counts[label]);
      ++split->speaker_counts[speakers.data_ptr<int64_t>()[i]];
    }
    const std::vector<std::optional<uint64_t>> hashes = AddFeatures(conversation, split);
    split->without_any += std::count(hashes.begin(), hashes.end(), std::nullopt);
    CompareWithSeen(conversation, hashes);
  }

  // Counts the features of a conversation. Returns a hash of each utterance's, over all modalities
  // that it has; nullopt for one that has none.
  std::vector<std::optional<uint64_t>> AddFeatures(const Conversation& conversation,
                                                   SplitSummary* split) {
    const int64_t length = conversation.length();
    std::vector<std::optional<uint64_t>> hashes(length);
    const torch::Tensor present =
        conversation.present.defined()
            ? conversation.present.contiguous()
            : torch::ones({length, 1}, torch::kBool).expand({length, int64_t(counters_.size())});
    const auto has = present.accessor<bool, 2>();
    for (size_t m = 0; m < conversation.features.size(); ++m) {
      const auto column = static_cast<int64_t>(m);
      std::vector<char> is_zero(length, 1);
      for (int64_t i = 0; i < length; ++i) {
        if (has[i][column]) continue;
        is_zero[i] = 0;
        ++split->missing_counts[m];
      }
      const std::vector<torch::Tensor>& streams = conversation.features[m];
      for (size_t s = 0; s < streams.size(); ++s) {
        const torch::Tensor values = streams[s].contiguous();
        const int64_t width = values.size(1);
        const bool is_copy = IsSameAsPrevious(streams, s);
        for (int64_t i = 0; i < length; ++i) {
          if (!has[i][column]) continue;
          const absl::Span<const float> row(values.data_ptr<float>() + i * width, width);
          counters_[m].Add(static_cast<int64_t>(s), row, CurrentSplit() == 0);
          if (is_copy) continue;
          hashes[i] = Mix(hashes[i].value_or(0), HashOf(row));
          is_zero[i] = is_zero[i] != 0 &&
                       std::all_of(row.begin(), row.end(), [](float v) { return v == 0; });
        }
      }
      zero_rows_[m][CurrentSplit()] += std::count(is_zero.begin(), is_zero.end(), 1);
    }
    return hashes;
  }

  // Counts the utterances, and the conversation as a whole, whose features an earlier split has.
  void CompareWithSeen(const Conversation& conversation,
                       const std::vector<std::optional<uint64_t>>& hashes) {
    const size_t split = CurrentSplit();
    const std::string& id = conversation.id;
    const std::vector<std::string>& sentences = conversation.utterances;
    has_sentences_ = has_sentences_ || !sentences.empty();
    uint64_t whole = 0;
    for (size_t i = 0; i < hashes.size(); ++i) {
      whole = Mix(whole, hashes[i].value_or(0));
      if (!hashes[i].has_value()) continue;  // alike for want of features
      const Seen& first = utterances_.emplace(*hashes[i], Seen{split, id}).first->second;
      if (first.split == split) continue;
      Shared& shared = shared_utterances_[{first.split, split}];
      ++shared.utterances;
      if (!sentences.empty() && WordsOf(sentences[i]) >= kLongWords) ++shared.long_ones;
    }
    const Seen& first = conversations_.emplace(whole, Seen{split, id}).first->second;
    if (first.split != split) {
      shared_conversations_[{first.split, split}].push_back(absl::StrCat(first.id, " = ", id));
    }
  }

  // The split whose conversations are being added.
  size_t CurrentSplit() const { return summary_.splits.size() - 1; }

  template <typename... Parts>
  void Warn(const Parts&... parts) {
    summary_.warnings.push_back(absl::StrCat(parts...));
  }

  void AddWarnings() {
    for (const SplitSummary& split : summary_.splits) WarnOfSplit(split);
    for (size_t m = 0; m < counters_.size(); ++m) WarnOfModality(m);
    WarnOfLeaks();
  }

  // Warns of an empty split, of absent classes and of speakers that train lacks.
  void WarnOfSplit(const SplitSummary& split) {
    const DatasetInfo& info = summary_.info;
    if (split.conversations == 0) return Warn("the ", split.name, " split is empty");
    if (split.unlabelled == split.utterances) {
      return Warn("no utterance of ", split.name, " has a label, so that it can be predicted but ",
                  split.name == "train" ? "not trained on" : "not scored");
    }
    std::vector<std::string> absent;
    for (int64_t c = 0; c < info.num_classes(); ++c) {
      if (split.class_counts[c] == 0) absent.push_back(info.class_names[c]);
    }
    if (!absent.empty()) Warn(split.name, " has no utterance of class ", Some(absent));
    std::vector<std::string> strangers;
    for (int64_t s = 0; s < info.num_speakers; ++s) {
      if (split.speaker_counts[s] == 0 || summary_.splits[0].speaker_counts[s] > 0) continue;
      strangers.push_back(info.speaker_names.empty() ? absl::StrCat(s) : info.speaker_names[s]);
    }
    if (!strangers.empty()) Warn(split.name, " has speakers that train lacks: ", Some(strangers));
  }

  // Warns of features that never vary and of utterances that are all 0.
  void WarnOfModality(size_t m) {
    const ModalityInfo& modality = summary_.info.modalities[m];
    const std::vector<std::string> constant = counters_[m].ConstantColumns();
    if (!constant.empty() && summary_.splits[0].utterances > 1) {
      Warn(modality.name, ": ", constant.size(), " of ", modality.width * modality.num_streams,
           " features never vary in train: ", Some(constant));
    }
    for (size_t s = 0; s < summary_.splits.size(); ++s) {
      if (zero_rows_[m][s] == 0) continue;
      Warn(modality.name, ": ", zero_rows_[m][s], " utterances of ", summary_.splits[s].name, " (",
           Percent(zero_rows_[m][s], summary_.splits[s].utterances),
           ") are all 0; are these features missing?");
    }
  }

  // Warns of what two splits share.
  void WarnOfLeaks() {
    for (const auto& [pair, ids] : shared_conversations_) {
      Warn("leak: ", summary_.splits[pair.first].name, " and ", summary_.splits[pair.second].name,
           " share ", ids.size(), " conversations with the same features: ", Some(ids));
    }
    for (const auto& [pair, shared] : shared_utterances_) {
      Warn("leak? ", shared.utterances, " utterances of ", summary_.splits[pair.second].name, " (",
           Percent(shared.utterances, summary_.splits[pair.second].utterances),
           has_sentences_ ? absl::StrCat("), ", shared.long_ones, " of them long (", kLongWords,
                                         " words or more),")
                          : ")",
           " have exactly the features of one of ", summary_.splits[pair.first].name,
           has_sentences_ ? "" : "; the data has no sentences to tell long ones by");
    }
  }

  const Dataset& dataset_;
  DatasetSummary summary_;
  std::vector<ModalityCounter> counters_;
  std::vector<std::vector<int64_t>> zero_rows_;       // [modality][split]
  std::unordered_map<uint64_t, Seen> utterances_;     // by the hash of their features
  std::unordered_map<uint64_t, Seen> conversations_;  // by the hash of their utterances' hashes
  // (earlier split, later split) -> what they share
  std::map<std::pair<size_t, size_t>, Shared> shared_utterances_;
  std::map<std::pair<size_t, size_t>, std::vector<std::string>> shared_conversations_;
  bool has_sentences_ = false;
};

using Rows = std::vector<std::vector<std::string>>;

// Returns a table whose columns fit what they hold: the first is flush left, the others right.
std::string FormatTable(Rows rows) {
  std::vector<size_t> widths(rows[0].size(), 0);
  for (std::vector<std::string>& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = OneLine(row[i]);
      widths[i] = std::max(widths[i], Columns(row[i]));
    }
  }
  std::string text;
  for (const std::vector<std::string>& row : rows) {
    std::string line = row[0] + std::string(widths[0] - Columns(row[0]), ' ');
    for (size_t i = 1; i < row.size(); ++i) {
      absl::StrAppend(&line, "  ", std::string(widths[i] - Columns(row[i]), ' '), row[i]);
    }
    absl::StripTrailingAsciiWhitespace(&line);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

// A row for each split: its size.
Rows SplitRows(const DatasetSummary& summary) {
  Rows rows = {{"split", "conversations", "utterances", "shortest", "mean", "longest", "speakers"}};
  for (const SplitSummary& split : summary.splits) {
    const int64_t speakers = std::count_if(split.speaker_counts.begin(), split.speaker_counts.end(),
                                           [](int64_t count) { return count > 0; });
    const double mean = split.conversations == 0 ? 0 : 1.0 * split.utterances / split.conversations;
    rows.push_back({split.name, absl::StrCat(split.conversations), absl::StrCat(split.utterances),
                    absl::StrCat(split.shortest), absl::StrFormat("%.1f", mean),
                    absl::StrCat(split.longest), absl::StrCat(speakers)});
  }
  return rows;
}

// A row for each class: how often each split has it, and as a share.
Rows ClassRows(const DatasetSummary& summary) {
  Rows rows = {{"utterances of class"}};
  for (const SplitSummary& split : summary.splits) {
    rows[0].insert(rows[0].end(), {split.name, ""});
  }
  for (int64_t c = 0; c < summary.info.num_classes(); ++c) {
    std::vector<std::string>& row = rows.emplace_back();
    row.push_back(summary.info.class_names[c]);
    for (const SplitSummary& split : summary.splits) {
      row.push_back(absl::StrCat(split.class_counts[c]));
      row.push_back(Percent(split.class_counts[c], split.utterances));
    }
  }
  const auto is_whole = [](const SplitSummary& split) { return split.unlabelled == 0; };
  if (std::all_of(summary.splits.begin(), summary.splits.end(), is_whole)) return rows;
  rows.push_back({"(no label)"});
  for (const SplitSummary& split : summary.splits) {
    rows.back().push_back(absl::StrCat(split.unlabelled));
    rows.back().push_back(Percent(split.unlabelled, split.utterances));
  }
  return rows;
}

// A row for each modality that some utterance lacks, and one for utterances that lack all: how
// many, and as a share. The heading alone where nothing is missing.
Rows MissingRows(const DatasetSummary& summary) {
  Rows rows = {{"utterances without"}};
  for (const SplitSummary& split : summary.splits) {
    rows[0].insert(rows[0].end(), {split.name, ""});
  }
  const auto add = [&](const std::string& name, const auto& count) {
    std::vector<std::string> row = {name};
    int64_t total = 0;
    for (const SplitSummary& split : summary.splits) {
      row.push_back(absl::StrCat(count(split)));
      row.push_back(Percent(count(split), split.utterances));
      total += count(split);
    }
    if (total > 0) rows.push_back(std::move(row));
  };
  for (size_t m = 0; m < summary.info.modalities.size(); ++m) {
    add(summary.info.modalities[m].name,
        [m](const SplitSummary& split) { return split.missing_counts[m]; });
  }
  add("any modality", [](const SplitSummary& split) { return split.without_any; });
  return rows;
}

// A row for each modality: its shape and its values.
Rows ModalityRows(const DatasetSummary& summary) {
  Rows rows = {{"modality", "width", "streams", "min", "max", "mean", "deviation"}};
  for (size_t m = 0; m < summary.info.modalities.size(); ++m) {
    const ModalityInfo& info = summary.info.modalities[m];
    const ModalitySummary& values = summary.modalities[m];
    rows.push_back({info.name, absl::StrCat(info.width), absl::StrCat(info.num_streams),
                    absl::StrFormat("%.4g", values.min), absl::StrFormat("%.4g", values.max),
                    absl::StrFormat("%.4g", values.mean),
                    absl::StrFormat("%.4g", values.deviation)});
  }
  return rows;
}

}  // namespace

absl::StatusOr<DatasetSummary> Summarize(const Dataset& dataset,
                                         absl::FunctionRef<void(int64_t done)> progress) {
  return Summarizer(dataset).Run(progress);
}

std::string FormatSummary(const DatasetSummary& summary) {
  const DatasetInfo& info = summary.info;
  std::string text =
      absl::StrCat(FormatTable(SplitRows(summary)), "\n", FormatTable(ClassRows(summary)), "\n",
                   FormatTable(ModalityRows(summary)));
  const Rows missing = MissingRows(summary);
  if (missing.size() > 1) absl::StrAppend(&text, "\n", FormatTable(missing));
  if (!info.speaker_names.empty()) {
    absl::StrAppend(&text, "\nspeakers  ", info.num_speakers, ": ",
                    OneLine(Some(info.speaker_names)), "\n");
  }
  for (size_t i = 0; i < summary.warnings.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "\n" : "", "warning: ", OneLine(summary.warnings[i]), "\n");
  }
  return text;
}

}  // namespace cmerc
