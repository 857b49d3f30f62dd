#include "calibration/curriculum.h"

#include <algorithm>
#include <iostream>

#include "core/status.h"
#include "storage/checkpoint.h"
#include "storage/trained_backbone.h"

namespace cmerc {
namespace {

// Measures the difficulties with the model of curriculum.difficulty_checkpoint.
absl::StatusOr<DifficultyTable> DifficultiesFromCheckpoint(const RunConfig& config,
                                                           const PreparedData& data) {
  const std::string& path = config.curriculum().difficulty_checkpoint();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadCheckpoint(path));
  if (!checkpoint.note.empty()) std::cerr << "note: " << path << ": " << checkpoint.note << "\n";
  ASSIGN_OR_RETURN(
      const std::shared_ptr<Backbone> backbone,
      MakeTrainedBackbone(checkpoint.metadata.has_value() ? checkpoint.metadata->config() : config,
                          data.info, checkpoint, path));
  backbone->to(data.device);
  return MeasureDifficulties(*backbone, data, config.calibration());
}

}  // namespace

Curriculum::Curriculum(const PreparedData& data, std::unique_ptr<Scheduler> scheduler,
                       const Difficulties& difficulties, std::string source)
    : data_(&data), scheduler_(std::move(scheduler)), source_(std::move(source)) {
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
      if (entry->first_epoch() < 0) entry->set_first_epoch(epoch);
    }
  }
  return report;
}

absl::StatusOr<Curriculum> MakeCurriculum(const RunConfig& config, const PreparedData& data,
                                          std::unique_ptr<Scheduler> scheduler,
                                          Backbone* uncalibrated) {
  if (scheduler == nullptr) return Curriculum(data);
  const CurriculumConfig& curriculum = config.curriculum();
  DifficultyTable table;
  std::string source;
  if (curriculum.has_difficulty_file()) {
    source = curriculum.difficulty_file();
    ASSIGN_OR_RETURN(table, ReadDifficulties(source));
  } else if (curriculum.has_difficulty_checkpoint()) {
    source = curriculum.difficulty_checkpoint();
    ASSIGN_OR_RETURN(table, DifficultiesFromCheckpoint(config, data));
  } else if (uncalibrated != nullptr) {
    source = "the uncalibrated model";
    ASSIGN_OR_RETURN(table, MeasureDifficulties(*uncalibrated, data, config.calibration()));
  } else if (!scheduler->needs_difficulty()) {
    source = "a scheduler without difficulties";
    for (const int64_t index : data.train) table.emplace_back(data.conversations[index].id, 0.0f);
  } else {
    return absl::InvalidArgumentError(
        "curriculum.scheduler needs difficulties; set curriculum.difficulty_file (written by "
        "`cmerc difficulty`) or curriculum.difficulty_checkpoint, or let "
        "training.compare_uncalibrated train the model that they come from");
  }
  ASSIGN_OR_RETURN(const Difficulties difficulties, AlignDifficulties(table, data, source));
  return Curriculum(data, std::move(scheduler), difficulties, source);
}

}  // namespace cmerc
