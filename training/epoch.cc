#include "training/epoch.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "calibration/labelled.h"
#include "calibration/random_removal.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "metrics/classification.h"
#include "profile/scope.h"
#include "registry/registry.h"
#include "storage/module_state.h"
#include "training/agreement.h"
#include "training/digest.h"
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

// Adds what a loss remembers to its report.
absl::Status ReportState(const Loss& loss, LossReport* report) {
  return CatchTorch([&] {
    for (const auto& [name, tensor] : loss.State()) {
      if (tensor.numel() != 1) continue;
      (*report->mutable_state()->mutable_numbers())[name] = tensor.item<double>();
    }
  });
}

StepContext InEpoch(StepContext context, const StagePlan& plan, int epoch) {
  context.epoch = epoch;
  context.processes = plan.options.processes;
  return context;
}

}  // namespace

Epoch::Epoch(const StagePlan& plan, const StepContext& context, RecordedSteps* recorded,
             StepProfile* profile, TrainingState& state)
    : plan_(plan),
      context_(InEpoch(context, plan, state.progress.epochs() + 1)),
      recorded_(recorded),
      profile_(profile),
      state_(state),
      done_(state.epoch),
      number_(state.progress.epochs() + 1) {
  state.live.train();
  if (done_.conversations.empty()) Begin(plan, state);
  const auto batch_size = static_cast<size_t>(plan.config.training().batch_size());
  steps_ = static_cast<int64_t>((done_.conversations.size() + batch_size - 1) / batch_size);
  for (int64_t step = NextLabelled(0); step < steps_; step = NextLabelled(step + 1)) {
    ++labelled_steps_;
    last_labelled_ = step;
  }
  // A forward pass writes into the buffers before its numbers turn out to be bad.
  if (plan.config.training().on_non_finite() == TrainingConfig::SKIP_BATCH) {
    buffers_.emplace(state.live);
  }
  if (state.average != nullptr) average_.emplace(state.live, *state.average);
}

absl::StatusOr<EpochReport> Epoch::Train() {
  if (labelled_steps_ == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("epoch ", number_, ": none of its ", done_.conversations.size(),
                     " conversations has a labelled utterance, so that there is nothing to train "
                     "on; leave the curriculum out, or such conversations"));
  }
  RETURN_IF_ERROR(CheckBegunAlike());
  progress_.emplace(
      absl::StrFormat("%sepoch %d/%d", plan_.label, number_, plan_.config.training().epochs()),
      steps_, "step");
  while (done_.steps < steps_) {
    const int64_t step = done_.steps;
    ASSIGN_OR_RETURN(const bool stop, plan_.options.StopRequested());
    if (stop) {
      return absl::CancelledError(
          absl::StrCat("in epoch ", number_, ", after step ", step, " of ", steps_));
    }
    if (LabelledOf(step) > 0) {
      RETURN_IF_ERROR(TakeOrSkip(step));
    } else {
      ++done_.steps;
      ++done_.without_labels;
    }
  }
  progress_.reset();
  return Report();
}

absl::Status Epoch::CheckBegunAlike() const {
  if (plan_.options.processes == nullptr) return absl::OkStatus();
  return Annotate(
      CheckAlike(plan_.options.processes,
                 {{"epoch", absl::StrCat(number_)},
                  {"steps done", absl::StrCat(done_.steps)},
                  {"conversations", absl::StrJoin(done_.conversations, " ")},
                  {"digest of the weights", absl::StrCat(WeightsDigest(StateOf(state_.live)))}}),
      absl::StrCat("epoch ", number_));
}

absl::Status Epoch::TakeOrSkip(int64_t step) {
  if (profile_ != nullptr) profile_->BeforeStep(step - done_.without_labels);
  // The event file shows the last step's.
  state_.optimizer.KeepGradients(plan_.options.tensorboard && step == last_labelled_);
  const Stopwatch stopwatch;
  if (buffers_.has_value()) buffers_->Take();
  const absl::StatusOr<StepReport> taken = TakeStep(step);
  ++done_.steps;
  if (!taken.ok()) return HandleRefusedStep(step, taken.status());
  Accumulate(step, *taken, stopwatch.Seconds());
  return absl::OkStatus();
}

int64_t Epoch::LabelledOf(int64_t step) const {
  int64_t labelled = 0;
  for (const int64_t index : ConversationsOf(step)) {
    labelled += CountLabelled(plan_.data.conversations[index]);
  }
  return labelled;
}

int64_t Epoch::NextLabelled(int64_t step) const {
  while (step < steps_ && LabelledOf(step) == 0) ++step;
  return step;
}

absl::Span<const int64_t> Epoch::ConversationsOf(int64_t step) const {
  const auto batch_size = static_cast<size_t>(plan_.config.training().batch_size());
  return absl::MakeConstSpan(done_.conversations).subspan(step * batch_size, batch_size);
}

absl::StatusOr<Batch> Epoch::MakeBatch(int64_t step) const {
  const ProfileScope scope("batch");
  const TrainingConfig& training = plan_.config.training();
  if (training.drop_evidence() == 0) return plan_.data.MakeBatch(ConversationsOf(step));
  std::mt19937 random = RandomOf(training.seed(), number_, step);
  std::vector<Conversation> thinned;
  for (const int64_t index : ConversationsOf(step)) {
    ASSIGN_OR_RETURN(Conversation conversation, plan_.data.Load(index));
    thinned.push_back(std::move(conversation));
    RETURN_IF_ERROR(RemoveAtRandom(training.drop_evidence(), plan_.data.means, plan_.data.info,
                                   random, thinned.back()));
  }
  return plan_.data.MakeBatchOf(thinned);
}

absl::StatusOr<Batch> Epoch::NextBatch(int64_t step) {
  if (next_.has_value()) return *std::exchange(next_, std::nullopt);
  if (recorded_ == nullptr) return MakeBatch(step);
  const absl::Span<const int64_t> conversations = ConversationsOf(step);
  if (recorded_->Knows({conversations.begin(), conversations.end()})) return Batch();
  return MakeBatch(step);
}

std::optional<std::vector<View>> Epoch::DrawnViews(int64_t step) const {
  const int count = plan_.config.calibration().views_per_step();
  if (count == 0) return std::nullopt;
  std::mt19937 random = RandomOf(plan_.config.training().seed(),
                                 absl::StrCat("views of step ", step, " of epoch ", number_));
  return DrawViews(ViewsOf(plan_.losses, number_), count, random);
}

absl::StatusOr<StepReport> Epoch::TakeStep(int64_t step) {
  ASSIGN_OR_RETURN(const Batch batch, NextBatch(step));
  if (recorded_ == nullptr && step != last_labelled_) {
    plan_.data.ReadAhead(ConversationsOf(NextLabelled(step + 1)));
  }
  const absl::Span<const int64_t> conversations = ConversationsOf(step);
  const std::optional<std::vector<View>> drawn = DrawnViews(step);
  StepContext context = context_;
  if (drawn.has_value()) context.drawn = &*drawn;
  ASSIGN_OR_RETURN(const ComputedStep computed,
                   recorded_ != nullptr
                       ? recorded_->Compute({conversations.begin(), conversations.end()}, batch)
                       : ComputeStep(context, batch));
  if (!plan_.data.device.is_cpu() && recorded_ == nullptr && step != last_labelled_) {
    ASSIGN_OR_RETURN(next_, MakeBatch(NextLabelled(step + 1)));
  }
  if (plan_.learning_rate != nullptr) {
    ASSIGN_OR_RETURN(const double rate, LearningRateOf(step));
    state_.optimizer.SetLearningRate(rate);
  }
  ASSIGN_OR_RETURN(StepReport report, FinishStep(context, computed));
  if (average_.has_value()) {
    const int64_t averaged = state_.progress.averaged_steps() + 1;
    state_.progress.set_averaged_steps(averaged);
    const double share = ShareOfStep(plan_.config.training().ema_decay(), averaged);
    RETURN_IF_ERROR(CatchTorch([&] { average_->Add(share); }));
  }
  return report;
}

absl::StatusOr<double> Epoch::LearningRateOf(int64_t step) const {
  const google::protobuf::RepeatedField<double>& scores = state_.progress.scores();
  const double factor = plan_.learning_rate->Factor(
      {number_ - 1, plan_.config.training().epochs(), step, steps_,
       absl::MakeConstSpan(scores.data(), static_cast<size_t>(scores.size()))});
  const double rate = plan_.config.training().learning_rate() * factor;
  if (std::isfinite(rate) && rate >= 0) return rate;
  return absl::InternalError(
      absl::StrCat("training.learning_rate_schedule: ",
                   PluginType(plan_.config.training().learning_rate_schedule()),
                   " multiplies the learning rate ", "by ", factor,
                   ", want a finite factor that is not below 0"));
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
  if (done_.skipped == labelled_steps_) {
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
    int64_t utterances = 0;
    for (const int64_t index : conversations) {
      slowest_step_->add_conversations(plan_.data.conversations[index].id);
      utterances += plan_.data.conversations[index].length();
    }
    slowest_step_->set_utterances(static_cast<int>(utterances));
  }
  done_.total += report.total;
  for (size_t i = 0; i < done_.losses.size(); ++i) done_.losses[i] += report.losses[i];
  done_.predictions.insert(done_.predictions.end(), report.predicted.begin(),
                           report.predicted.end());
  for (const int64_t index : conversations) {
    const torch::Tensor truth = plan_.data.conversations[index].labels.contiguous();
    const int64_t* begin = truth.data_ptr<int64_t>();
    std::copy_if(begin, begin + truth.numel(), std::back_inserter(done_.labels),
                 [](int64_t label) { return label != kUnlabelled; });
  }
  progress_->Update(done_.steps, absl::StrFormat("loss %.4f", done_.total / StepsTaken()));
}

double Epoch::StepsTaken() const {
  return static_cast<double>(done_.steps - done_.skipped - done_.without_labels);
}

absl::StatusOr<EpochReport> Epoch::Report() const {
  EpochReport report;
  report.set_epoch(number_);
  report.set_conversations(static_cast<int>(done_.conversations.size()));
  report.set_steps(static_cast<int>(steps_));
  if (done_.skipped > 0) report.mutable_skipped_steps()->set_value(static_cast<int>(done_.skipped));
  if (done_.without_labels > 0) {
    report.mutable_steps_without_labels()->set_value(static_cast<int>(done_.without_labels));
  }
  const double taken = StepsTaken();
  report.set_total_loss(done_.total / taken);
  for (size_t i = 0; i < plan_.losses.size(); ++i) {
    LossReport* loss = report.add_losses();
    loss->set_loss(plan_.losses[i].name);
    loss->set_value(done_.losses[i] / taken);
    RETURN_IF_ERROR(ReportState(*plan_.losses[i].loss, loss));
  }
  ASSIGN_OR_RETURN(const SplitReport scores, ClassificationReport(done_.labels, done_.predictions,
                                                                  plan_.data.info.class_names));
  if (plan_.learning_rate != nullptr) {
    ASSIGN_OR_RETURN(const double rate, LearningRateOf(steps_ - 1));
    report.mutable_learning_rate()->set_value(rate);
  }
  report.set_train_accuracy(scores.accuracy());
  report.set_train_weighted_f1(scores.weighted_f1());
  return report;
}

}  // namespace cmerc
