#include "bin/predict_work.h"

#include <google/protobuf/any.pb.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bin/machine_limits.h"
#include "bin/predict_options.h"
#include "bin/session.h"
#include "calibration/describe_prediction.h"
#include "core/status.h"
#include "registry/registry.h"

namespace cmerc {

absl::Status Work::Add(Conversation conversation, std::optional<ConversationRecord> record) {
  waiting_.push_back(std::move(conversation));
  records_.push_back(std::move(record));
  return waiting_.size() < batch_size_ ? absl::OkStatus() : PredictWaiting();
}

absl::Status Work::Finish() {
  const absl::Status predicted = PredictWaiting();
  if (!predicted.ok()) return Stop(predicted);
  const std::string warning = missing_.Warning();
  if (!warning.empty()) PrintWarnings({warning});
  return output_.Finish();
}

absl::Status Work::Stop(const absl::Status& problem) {
  if (conversations_ > 0) RETURN_IF_ERROR(output_.Finish());
  return absl::Status(problem.code(), absl::StrCat(problem.message(), "\n", conversations_,
                                                   " conversations before it were predicted"));
}

std::string Work::Summary() const {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  return absl::StrFormat("%d conversations, %d utterances, %.0f utterances a second%s",
                         conversations_, utterances_, utterances_ / seconds, missing_.Summary());
}

absl::Status Work::PredictWaiting() {
  if (waiting_.empty()) return absl::OkStatus();
  WarnOfLength();
  ASSIGN_OR_RETURN(std::vector<PredictedConversation> predictions,
                   predictor_.Predict(waiting_, views_));
  PrintWarnings(std::exchange(warnings_, {}));
  int64_t written = 0;
  for (size_t i = 0; i < predictions.size(); ++i) {
    CarriedAlong carried{waiting_[i].numeric_id, "", {}};
    if (records_[i].has_value()) {
      carried = Name(*records_[i], &predictions[i]);
    } else {
      SetSpeakersAndLabels(waiting_[i], predictor_.info(), &predictions[i]);
    }
    if (output_.Add(predictions[i], carried)) {
      ++written;
      utterances_ += predictions[i].utterances_size();
    }
    missing_.Add(waiting_[i]);
  }
  RETURN_IF_ERROR(output_.Flush());
  conversations_ += written;
  done_ += static_cast<int64_t>(predictions.size());
  waiting_.clear();
  records_.clear();
  return absl::OkStatus();
}

void Work::WarnOfLength() {
  int64_t longest = 0;
  for (const Conversation& conversation : waiting_) {
    longest = std::max(longest, conversation.speakers.size(0));
  }
  const google::protobuf::Any& backbone = predictor_.config().backbone();
  const BatchSize batch = {PluginType(backbone),
                           absl::StrContains(backbone.ShortDebugString(), "encoder: TRANSFORMER"),
                           static_cast<int64_t>(predictor_.info().modalities.size()),
                           !views_.empty(),
                           static_cast<int64_t>(waiting_.size()),
                           longest};
  const std::string warning = LengthWarning(batch, FreeMemory());
  if (warning.empty() || warned_) return;
  std::cerr << "warning: " << warning << "\n";
  warned_ = true;
}

}  // namespace cmerc
