#include "bin/labelled_input.h"

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bin/conversation_input.h"
#include "bin/session.h"
#include "calibration/labelled.h"
#include "core/problems.h"
#include "core/status.h"
#include "datasets/formats/conversation.h"
#include "registry/nearest_name.h"

namespace cmerc {
namespace {

std::string Want(const std::vector<std::string>& class_names) {
  return absl::StrCat(", want a class of the model: ", absl::StrJoin(class_names, ", "));
}

// The key of an utterance without a label that is probably meant to be it; "" where there is none.
std::string MeantAsLabel(const ConversationRecord::Utterance& utterance) {
  std::vector<std::string> keys;
  for (const ConversationRecord::Extra& extra : utterance.extras()) keys.push_back(extra.key());
  return NearestName("label", keys);
}

// Why the label of `utterance` of a conversation cannot be scored.
std::string WrongLabel(int utterance, const ConversationRecord::Utterance& from,
                       const std::vector<std::string>& class_names) {
  const std::string field = absl::StrCat("utterances[", utterance, "].label");
  const std::string want = Want(class_names);
  if (!from.has_label()) {
    return absl::StrCat(field, " is missing", want, "; is it \"", MeantAsLabel(from), "\"?");
  }
  const std::string nearest = NearestName(from.label(), class_names);
  int64_t number = 0;
  std::string advice;
  if (absl::SimpleAtoi(from.label(), &number)) {
    advice =
        "; numbers say nothing without a list of names: write names, or a record file or an .npz, "
        "which list their classes";
  } else if (!nearest.empty()) {
    advice = absl::StrCat("; did you mean \"", nearest, "\"?");
  }
  return absl::StrCat(field, " is \"", from.label(), "\"", want, advice);
}

// The positions of the labels in `class_names`, kUnlabelled where there is none, [n] int64.
// InvalidArgument, without the place: one is none of them, or has another key.
absl::StatusOr<torch::Tensor> LabelsOf(const ConversationRecord& record,
                                       const std::vector<std::string>& class_names,
                                       const std::map<std::string, int64_t>& classes) {
  const torch::Tensor labels = torch::empty({record.utterances_size()}, torch::kInt64);
  for (int i = 0; i < record.utterances_size(); ++i) {
    const ConversationRecord::Utterance& utterance = record.utterances(i);
    const auto found = classes.find(utterance.label());
    const bool is_unlabelled =
        utterance.has_label() ? utterance.label() == kNoLabel : MeantAsLabel(utterance).empty();
    if (found == classes.end() && !is_unlabelled) {
      return absl::InvalidArgumentError(WrongLabel(i, utterance, class_names));
    }
    labels.data_ptr<int64_t>()[i] = found == classes.end() ? kUnlabelled : found->second;
  }
  return labels;
}

}  // namespace

absl::StatusOr<PreparedData> ReadLabelledInput(const std::string& path,
                                               const Predictor& predictor) {
  ASSIGN_OR_RETURN(ConversationInput input, ConversationInput::Open(path, UnknownKeys::kKeep));
  PreparedData data;
  data.info = predictor.info();
  data.means = predictor.means();
  std::map<std::string, int64_t> classes;
  for (const std::string& name : data.info.class_names) {
    classes.emplace(name, static_cast<int64_t>(classes.size()));
  }
  Problems problems;
  std::map<std::string, std::string> places;  // id -> where it was
  while (input.can_go_on()) {
    absl::StatusOr<std::optional<InputConversation>> next = input.Next(predictor);
    if (absl::IsInvalidArgument(next.status())) {
      problems.Add(std::string(next.status().message()));
      continue;
    }
    RETURN_IF_ERROR(next.status());
    if (!next->has_value()) break;
    const std::string warning = input.TakeWarning();
    if (!warning.empty()) PrintWarnings({warning});
    const std::string place = input.Place((*next)->record);
    const auto [first, is_new] = places.emplace((*next)->conversation.id, place);
    if (!is_new) {
      problems.Add(absl::StrCat(place, ": its id is that of ", first->second,
                                " too; every utterance is scored once"));
      continue;
    }
    const absl::StatusOr<torch::Tensor> labels =
        LabelsOf((*next)->record, data.info.class_names, classes);
    absl::StatusOr<Conversation> prepared = predictor.Prepare((*next)->conversation);
    if (!labels.ok() || !prepared.ok()) {
      const absl::Status& status = labels.ok() ? prepared.status() : labels.status();
      problems.Add(absl::StrCat(place, ": ", status.message()));
      continue;
    }
    prepared->labels = *labels;
    data.test.push_back(static_cast<int64_t>(data.conversations.size()));
    data.conversations.push_back(*std::move(prepared));
  }
  RETURN_IF_ERROR(problems.ToStatus());
  if (data.conversations.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(input.name(), " is empty: there is no conversation to score"));
  }
  RETURN_IF_ERROR(CheckHasLabels(data, data.test, input.name(),
                                 absl::StrCat("scores need some", Want(data.info.class_names),
                                              "; `cmerc predict` answers without")));
  return data;
}

}  // namespace cmerc
