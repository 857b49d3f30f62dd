#include "calibration/past_check.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/predict_views.h"
#include "core/batch.h"
#include "core/status.h"

namespace cmerc {
namespace {

using torch::Tensor;

// From where on utterances are others, in each of the conversations.
struct Part {
  int64_t length;
  int64_t first_other;
};
constexpr Part kParts[] = {{7, 4}, {4, 1}};

// Above what a matrix product of other rows may do to a last digit.
constexpr double kRounding = 1e-4;

Conversation RandomConversation(const Part& part, const DatasetInfo& info, at::Generator& random) {
  Conversation conversation;
  conversation.id = absl::StrCat(part.length);
  for (const ModalityInfo& modality : info.modalities) {
    conversation.features.emplace_back();
    for (int64_t s = 0; s < modality.num_streams; ++s) {
      conversation.features.back().push_back(
          torch::randn({part.length, modality.width}, random, torch::kFloat32));
    }
  }
  conversation.speakers = torch::arange(part.length).remainder(info.num_speakers);
  conversation.labels = torch::zeros({part.length}, torch::kInt64);
  return conversation;
}

// The conversation with other features and speakers from part.first_other on.
Conversation WithOtherLaterUtterances(const Conversation& conversation, const Part& part,
                                      const DatasetInfo& info, at::Generator& random) {
  Conversation changed = conversation;
  const int64_t others = part.length - part.first_other;
  for (std::vector<Tensor>& streams : changed.features) {
    for (Tensor& stream : streams) {
      stream = stream.clone();
      stream.narrow(0, part.first_other, others)
          .copy_(3 * torch::randn({others, stream.size(1)}, random, torch::kFloat32));
    }
  }
  changed.speakers = changed.speakers.clone();
  changed.speakers.narrow(0, part.first_other, others).add_(1).remainder_(info.num_speakers);
  return changed;
}

// The largest difference between answers to the utterances that are the same in both; infinite
// where one is no number.
double LargestChange(const Prediction& before, const Prediction& after) {
  double largest = 0;
  int64_t row = 0;
  for (const Part& part : kParts) {
    const auto difference = [&](const Tensor& a, const Tensor& b) {
      const Tensor want = a.narrow(0, row, part.first_other);
      const double scale = std::max(1.0, want.abs().max().item<double>());
      const double result =
          (b.narrow(0, row, part.first_other) - want).abs().max().item<double>() / scale;
      return std::isnan(result) ? std::numeric_limits<double>::infinity() : result;
    };
    largest = std::max({largest, difference(before.log_probs, after.log_probs),
                        difference(before.features, after.features)});
    row += part.length;
  }
  return largest;
}

absl::Status Refusal(const std::string& name, const std::string& view, double change) {
  return absl::InvalidArgumentError(absl::StrCat(
      name, ": with data.context: PAST an answer must not change when later utterances do, and ",
      view.empty() ? "one" : absl::StrCat("one without ", view), " does (by ", change,
      "): this backbone lets an utterance draw on later ones whatever Batch::context says. Take "
      "another one, set data { context: CONVERSATION }, or let the backbone look at "
      "DatasetInfo::context (docs/online.md)"));
}

}  // namespace

absl::Status CheckPast(Backbone& backbone, const std::string& name) {
  const DatasetInfo& info = backbone.info();
  if (info.context != ContextScope::kPast) return absl::OkStatus();
  at::Generator random = at::make_generator<at::CPUGeneratorImpl>(/*seed_in=*/1);
  std::vector<Conversation> conversations, changed;
  for (const Part& part : kParts) {
    conversations.push_back(RandomConversation(part, info, random));
    changed.push_back(WithOtherLaterUtterances(conversations.back(), part, info, random));
  }
  const std::vector<View> views = AllViews(info);
  ASSIGN_OR_RETURN(const LossInput before,
                   PredictFullAndViews(backbone, MakeBatch(conversations, info), views, {}));
  ASSIGN_OR_RETURN(const LossInput after,
                   PredictFullAndViews(backbone, MakeBatch(changed, info), views, {}));
  const double of_full = LargestChange(before.full, after.full);
  if (of_full > kRounding) return Refusal(name, "", of_full);
  for (size_t v = 0; v < views.size(); ++v) {
    const double change = LargestChange(before.views[v].prediction, after.views[v].prediction);
    if (change > kRounding) return Refusal(name, views[v].name(), change);
  }
  return absl::OkStatus();
}

}  // namespace cmerc
