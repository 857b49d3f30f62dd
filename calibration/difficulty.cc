#include "calibration/difficulty.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "calibration/labelled.h"
#include "calibration/predict_views.h"
#include "core/confidence.h"
#include "core/status.h"
#include "core/view.h"
#include "profile/progress.h"

namespace cmerc {
namespace {

constexpr size_t kMostNamed = 5;

// "a, b, c, d, e and 7 more".
std::string FirstFew(const std::vector<std::string>& ids) {
  std::string text;
  for (size_t i = 0; i < std::min(ids.size(), kMostNamed); ++i) {
    absl::StrAppend(&text, i > 0 ? ", " : "", ids[i]);
  }
  if (ids.size() > kMostNamed) absl::StrAppend(&text, " and ", ids.size() - kMostNamed, " more");
  return text;
}

// The training conversations `missing` have no difficulty, the ones called `unknown` do not exist.
absl::Status OtherConversations(const std::string& source, const std::vector<std::string>& missing,
                                size_t num_train, const std::vector<std::string>& unknown) {
  std::string problem = absl::StrCat("difficulties of ", source, " are not those of this dataset:");
  if (!missing.empty()) {
    absl::StrAppend(&problem, " ", missing.size(), " of ", num_train,
                    " training conversations have none (", FirstFew(missing), ")");
  }
  if (!unknown.empty()) {
    absl::StrAppend(&problem, missing.empty() ? " " : "; ", unknown.size(),
                    " are of conversations that the dataset does not have (", FirstFew(unknown),
                    ")");
  }
  absl::StrAppend(&problem, ". Compute them for this dataset and protocol: cmerc difficulty");
  return absl::InvalidArgumentError(problem);
}

}  // namespace

absl::StatusOr<float> DifficultyOf(Backbone& backbone, const Batch& conversation,
                                   const CalibrationConfig& config) {
  torch::NoGradGuard no_grad;
  backbone.eval();
  ASSIGN_OR_RETURN(LossInput all,
                   PredictFullAndViews(backbone, conversation, AllViews(backbone.info()), config));
  const LossInput input = OnlyLabelled(std::move(all), conversation.labelled);
  const torch::Tensor full_true = TrueClassLogProbs(input.full.log_probs, input.labels);
  double ranking = 0;
  for (const ViewPrediction& view : input.views) {
    ranking += (TrueClassLogProbs(view.prediction.log_probs, input.labels) - full_true)
                   .clamp_min(0)
                   .sum()
                   .item<double>();
  }
  const int64_t speakers = conversation.speakers.max().item<int64_t>() + 1;
  return static_cast<float>(ranking + static_cast<double>(speakers)) /
         static_cast<float>(speakers + input.labels.size(0));
}

absl::StatusOr<DifficultyTable> MeasureDifficulties(Backbone& backbone, const PreparedData& data,
                                                    const CalibrationConfig& config) {
  RETURN_IF_ERROR(CheckHasLabels(data, data.train, "the training split",
                                 "difficulties are of the true emotions"));
  DifficultyTable table;
  Progress progress("difficulty", static_cast<int64_t>(data.train.size()), "conversation");
  for (size_t i = 0; i < data.train.size(); ++i) {
    const std::string& id = data.conversations[data.train[i]].id;
    const std::string place = absl::StrCat("conversation ", id);
    ASSIGN_OR_RETURN(const Batch batch, Annotate(data.MakeBatch({data.train[i]}), place));
    data.ReadAhead(absl::MakeConstSpan(data.train).subspan(i + 1, 1));
    ASSIGN_OR_RETURN(const float difficulty,
                     Annotate(DifficultyOf(backbone, batch, config), place));
    if (!std::isfinite(difficulty)) {
      return absl::InternalError(absl::StrCat("the difficulty of conversation ", id, " is ",
                                              difficulty, ": the model's weights are of no use"));
    }
    table.emplace_back(id, difficulty);
    progress.Update(static_cast<int64_t>(table.size()), table.back().first);
  }
  return table;
}

absl::StatusOr<Difficulties> AlignDifficulties(const DifficultyTable& table,
                                               const PreparedData& data,
                                               const std::string& source) {
  std::map<std::string, int64_t> positions;
  for (size_t i = 0; i < data.train.size(); ++i) {
    positions[data.conversations[data.train[i]].id] = static_cast<int64_t>(i);
  }
  std::map<std::string, bool> known;  // every conversation: has it a difficulty?
  for (const Conversation& conversation : data.conversations) known[conversation.id] = false;

  Difficulties aligned;
  std::vector<std::string> unknown;
  for (const auto& [id, difficulty] : table) {
    const auto it = known.find(id);
    if (it == known.end()) {
      unknown.push_back(id);
      continue;
    }
    it->second = true;
    // Difficulties of other splits' conversations are of no use here, and no harm.
    const auto position = positions.find(id);
    if (position != positions.end()) aligned.emplace_back(position->second, difficulty);
  }
  std::vector<std::string> missing;
  for (const int64_t index : data.train) {
    if (!known[data.conversations[index].id]) missing.push_back(data.conversations[index].id);
  }
  if (!unknown.empty() || !missing.empty()) {
    return OtherConversations(source, missing, data.train.size(), unknown);
  }
  return aligned;
}

}  // namespace cmerc
