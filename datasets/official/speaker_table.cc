#include "datasets/official/speaker_table.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "datasets/assembly/names.h"
#include "torch/types.h"

namespace cmerc::datasets {
namespace {

std::string DescribeKind(const RawSpeakers& speakers) {
  switch (speakers.kind) {
    case RawSpeakers::Kind::kNames:
      return "names";
    case RawSpeakers::Kind::kNumbers:
      return "numbers";
    case RawSpeakers::Kind::kOneHot:
      return absl::StrCat("one-hot rows of ", speakers.width);
  }
  return "";
}

// Returns the names in the order of their indices, which is the official dataloader.py's where they
// are those of IEMOCAP.
std::vector<std::string> NamesInOrder(const std::set<std::string>& names) {
  if (names == std::set<std::string>{"F", "M"} || names == std::set<std::string>{"M"} ||
      names == std::set<std::string>{"F"}) {
    return {"M", "F"};
  }
  return SortedNames(names);
}

}  // namespace

absl::Status SpeakerTable::Add(const ConversationId& id, RawSpeakers speakers) {
  if (speakers_.empty()) first_id_ = id;
  speakers_.push_back(std::move(speakers));
  const RawSpeakers& first = speakers_.front();
  const RawSpeakers& added = speakers_.back();
  if (added.kind == first.kind && added.width == first.width) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("has ", DescribeKind(added), ", want ",
                                                 DescribeKind(first), " as in conversation ",
                                                 first_id_.ToString()));
}

void SpeakerTable::Assign(DatasetInfo* info, std::vector<Conversation>* conversations) const {
  std::set<std::string> names;
  std::set<int64_t> numbers;
  for (const RawSpeakers& raw : speakers_) {
    names.insert(raw.names.begin(), raw.names.end());
    numbers.insert(raw.numbers.begin(), raw.numbers.end());
  }
  std::map<std::string, int64_t> index_of_name;
  for (const std::string& name : NamesInOrder(names)) {
    index_of_name.emplace(name, static_cast<int64_t>(index_of_name.size()));
  }
  const bool one_hot = speakers_.front().kind == RawSpeakers::Kind::kOneHot;
  std::map<int64_t, int64_t> index_of_number;
  for (const int64_t number : numbers) {
    index_of_number.emplace(number,
                            one_hot ? number : static_cast<int64_t>(index_of_number.size()));
  }

  info->num_speakers = one_hot
                           ? speakers_.front().width
                           : static_cast<int64_t>(index_of_name.size() + index_of_number.size());
  for (int64_t i = 0; i < info->num_speakers; ++i) {
    info->speaker_names.push_back(absl::StrCat(i));  // stays where one-hot rows never have the 1
  }
  for (const auto& [name, index] : index_of_name) info->speaker_names[index] = name;
  for (const auto& [number, index] : index_of_number) {
    info->speaker_names[index] = absl::StrCat(number);
  }

  for (size_t c = 0; c < conversations->size(); ++c) {
    const RawSpeakers& raw = speakers_[c];
    torch::Tensor& indices = (*conversations)[c].speakers;
    indices = torch::empty({raw.length()}, torch::kInt64);
    int64_t* out = indices.data_ptr<int64_t>();
    for (const std::string& name : raw.names) *out++ = index_of_name.at(name);
    for (const int64_t number : raw.numbers) *out++ = index_of_number.at(number);
  }
}

}  // namespace cmerc::datasets
