#include "training/epoch.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/status.h"
#include "metrics/classification.h"
#include "profile/scope.h"
#include "storage/module_state.h"
#include "training/epoch_order.h"
#include "training/stopwatch.h"

namespace cmerc {
namespace {

// Skipped steps of an epoch that are told of one by one; the epoch's line counts them all.
constexpr int kSkippedTold = 3;

void Begin(const StagePlan& plan, TrainingState& state) {
  state.epoch = EpochProgress();
  state.epoch.conversations = plan.curriculum.Conversations(state.progress.epochs());
  state.epoch.losses.resize(plan.losses.size());
  OrderEpoch(plan.config.training(), state.epoch.conversations);
  if (state.snapshot != nullptr) CopyState(state.live, *state.snapshot);
}

StepContext InEpoch(StepContext context, int epoch) {
  context.epoch = epoch;
  return context;
}

}  // namespace

Epoch::Epoch(const StagePlan& plan, const StepContext& context, RecordedSteps* recorded,
             StepProfile* profile, TrainingState& state)
    : plan_(plan),
      context_(InEpoch(context, state.progress.epochs() + 1)),
      recorded_(recorded),
      profile_(profile),
      state_(state),
      done_(state.epoch),
      number_(state.progress.epochs() + 1) {
  state.live.train();
  if (done_.conversations.empty()) Begin(plan, state);
  const auto batch_size = static_cast<size_t>(plan.config.training().batch_size());
  steps_ = static_cast<int64_t>((done_.conversations.size() + batch_size - 1) / batch_size);
  // A forward pass writes into the buffers before its numbers turn out to be bad.
  if (plan.config.training().on_non_finite() == TrainingConfig::SKIP_BATCH) {
    buffers_.emplace(state.live);
  }
}

absl::StatusOr<EpochReport> Epoch::Train() {
  progress_.emplace(
      absl::StrFormat("%sepoch %d/%d", plan_.label, number_, plan_.config.training().epochs()),
      steps_, "step");
  while (done_.steps < steps_) {
    const int64_t step = done_.steps;
    if (plan_.options.StopRequested()) {
      return absl::CancelledError(
          absl::StrCat("in epoch ", number_, ", after step ", step, " of ", steps_));
    }
    if (profile_ != nullptr) profile_->BeforeStep(step);
    // The event file shows the last step's.
    state_.optimizer.KeepGradients(plan_.options.tensorboard && step + 1 == steps_);
    const Stopwatch stopwatch;
    if (buffers_.has_value()) buffers_->Take();
    const absl::StatusOr<StepReport> taken = TakeStep(step);
    ++done_.steps;
    if (taken.ok()) {
      Accumulate(step, *taken, stopwatch.Seconds());
    } else {
      RETURN_IF_ERROR(HandleRefusedStep(step, taken.status()));
    }
  }
  progress_.reset();
  return Report();
}

absl::Span<const int64_t> Epoch::ConversationsOf(int64_t step) const {
  const auto batch_size = static_cast<size_t>(plan_.config.training().batch_size());
  return absl::MakeConstSpan(done_.conversations).subspan(step * batch_size, batch_size);
}

Batch Epoch::MakeBatch(int64_t step) const {
  const ProfileScope scope("batch");
  return plan_.data.MakeBatch(ConversationsOf(step));
}

Batch Epoch::NextBatch(int64_t step) {
  if (next_.has_value()) return *std::exchange(next_, std::nullopt);
  if (recorded_ == nullptr) return MakeBatch(step);
  const absl::Span<const int64_t> conversations = ConversationsOf(step);
  return recorded_->Knows({conversations.begin(), conversations.end()}) ? Batch() : MakeBatch(step);
}

absl::StatusOr<StepReport> Epoch::TakeStep(int64_t step) {
  const Batch batch = NextBatch(step);
  const absl::Span<const int64_t> conversations = ConversationsOf(step);
  ASSIGN_OR_RETURN(const ComputedStep computed,
                   recorded_ != nullptr
                       ? recorded_->Compute({conversations.begin(), conversations.end()}, batch)
                       : ComputeStep(context_, batch));
  if (!plan_.data.device.is_cpu() && recorded_ == nullptr && step + 1 < steps_) {
    next_ = MakeBatch(step + 1);
  }
  return FinishStep(context_, computed);
}

absl::Status Epoch::HandleRefusedStep(int64_t step, const absl::Status& refused) {
  const std::string why =
      absl::StrCat("epoch ", number_, ", step ", step + 1, ", conversations ",
                   plan_.data.Ids(ConversationsOf(step)), ": ", refused.message());
  const bool skip = buffers_.has_value() && absl::IsOutOfRange(refused);
  if (!skip) {
    const std::string saved =
        number_ == 1 ? ""
                     : absl::StrCat("; ", plan_.output, "/last.pth holds the weights of epoch ",
                                    number_ - 1);
    return absl::Status(refused.code(), why + saved);
  }
  buffers_->PutBack();
  ++done_.skipped;
  if (done_.skipped == steps_) {
    return absl::OutOfRangeError(
        absl::StrCat("epoch ", number_, ": every step was skipped, the last one at ", why));
  }
  WarnOfSkippedStep(why);
  return absl::OkStatus();
}

void Epoch::WarnOfSkippedStep(const std::string& why) {
  if (done_.skipped <= kSkippedTold) progress_->Note(absl::StrCat("warning: skipped ", why));
  if (done_.skipped == kSkippedTold + 1) {
    progress_->Note(absl::StrCat("warning: epoch ", number_,
                                 ": more steps are skipped; the epoch's line counts them"));
  }
}

void Epoch::Accumulate(int64_t step, const StepReport& report, double seconds) {
  const absl::Span<const int64_t> conversations = ConversationsOf(step);
  if (seconds > slowest_seconds_) {
    slowest_seconds_ = seconds;
    slowest_step_.emplace();
    slowest_step_->set_seconds(ToMicrosecond(seconds));
    slowest_step_->set_utterances(static_cast<int>(report.predicted.size()));
    for (const int64_t index : conversations) {
      slowest_step_->add_conversations(plan_.data.conversations[index].id);
    }
  }
  done_.total += report.total;
  for (size_t i = 0; i < done_.losses.size(); ++i) done_.losses[i] += report.losses[i];
  done_.predictions.insert(done_.predictions.end(), report.predicted.begin(),
                           report.predicted.end());
  for (const int64_t index : conversations) {
    const torch::Tensor truth = plan_.data.conversations[index].labels.contiguous();
    done_.labels.insert(done_.labels.end(), truth.data_ptr<int64_t>(),
                        truth.data_ptr<int64_t>() + truth.numel());
  }
  progress_->Update(
      done_.steps,
      absl::StrFormat("loss %.4f", done_.total / static_cast<double>(done_.steps - done_.skipped)));
}

absl::StatusOr<EpochReport> Epoch::Report() const {
  EpochReport report;
  report.set_epoch(number_);
  report.set_conversations(static_cast<int>(done_.conversations.size()));
  report.set_steps(static_cast<int>(steps_));
  if (done_.skipped > 0) report.mutable_skipped_steps()->set_value(static_cast<int>(done_.skipped));
  const auto taken = static_cast<double>(steps_ - done_.skipped);
  report.set_total_loss(done_.total / taken);
  for (size_t i = 0; i < plan_.losses.size(); ++i) {
    LossReport* loss = report.add_losses();
    loss->set_loss(plan_.losses[i].name);
    loss->set_value(done_.losses[i] / taken);
  }
  ASSIGN_OR_RETURN(const SplitReport scores, ClassificationReport(done_.labels, done_.predictions,
                                                                  plan_.data.info.class_names));
  report.set_train_accuracy(scores.accuracy());
  report.set_train_weighted_f1(scores.weighted_f1());
  return report;
}

}  // namespace cmerc
