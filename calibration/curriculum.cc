#include "calibration/curriculum.h"

#include <algorithm>

#include "calibration/difficulty_source.h"
#include "core/status.h"

namespace cmerc {

Curriculum::Curriculum(const PreparedData& data, std::unique_ptr<Scheduler> scheduler,
                       const Difficulties& difficulties, std::string source, std::string warning)
    : data_(&data),
      scheduler_(std::move(scheduler)),
      source_(std::move(source)),
      warning_(std::move(warning)) {
  for (const auto& [position, difficulty] : difficulties) {
    positions_.push_back(position);
    difficulties_.push_back(difficulty);
  }
}

std::vector<int64_t> Curriculum::Conversations(int64_t epoch) const {
  if (scheduler_ == nullptr) return data_->train;
  std::vector<int64_t> positions;
  for (const int64_t i : scheduler_->Select(epoch, difficulties_)) {
    positions.push_back(positions_[i]);
  }
  std::sort(positions.begin(), positions.end());
  for (int64_t& position : positions) position = data_->train[position];
  return positions;
}

std::optional<CurriculumReport> Curriculum::Report(int epochs) const {
  if (scheduler_ == nullptr) return std::nullopt;
  CurriculumReport report;
  report.set_difficulties_from(source_);
  report.set_epochs_from(1);
  for (const int64_t index : data_->train) {
    const Conversation& conversation = data_->conversations[index];
    CurriculumConversation* entry = report.add_conversations();
    entry->set_conversation(conversation.id);
    entry->set_utterances(static_cast<int>(conversation.length()));
    entry->set_first_epoch(-1);
  }
  for (size_t i = 0; i < positions_.size(); ++i) {
    report.mutable_conversations(static_cast<int>(positions_[i]))->set_difficulty(difficulties_[i]);
  }
  for (int epoch = 0; epoch < epochs; ++epoch) {
    for (const int64_t i : scheduler_->Select(epoch, difficulties_)) {
      CurriculumConversation* entry = report.mutable_conversations(static_cast<int>(positions_[i]));
      if (entry->first_epoch() < 0) entry->set_first_epoch(epoch + 1);
    }
  }
  return report;
}

absl::StatusOr<Curriculum> MakeCurriculum(const RunConfig& config, const PreparedData& data,
                                          std::unique_ptr<Scheduler> scheduler,
                                          Backbone* uncalibrated) {
  if (scheduler == nullptr) return Curriculum(data);
  ASSIGN_OR_RETURN(SourcedDifficulties found,
                   FindDifficulties(config, data, *scheduler, uncalibrated));
  ASSIGN_OR_RETURN(const Difficulties difficulties,
                   AlignDifficulties(found.table, data, found.source));
  return Curriculum(data, std::move(scheduler), difficulties, std::move(found.source),
                    std::move(found.warning));
}

}  // namespace cmerc
