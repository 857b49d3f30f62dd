#include "serving/jobs.h"

#include <chrono>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "bin/predict_options.h"
#include "calibration/extractors.h"
#include "calibration/prediction_text.h"
#include "calibration/predictor.h"
#include "core/status.h"
#include "datasets/assembly/conversation_tensors.h"
#include "datasets/formats/conversation.h"

namespace cmerc::serving {
namespace {

// Makes tensors of the records of a job.
absl::Status Prepare(PredictJob& job, const Predictor& predictor) {
  for (const ConversationRecord& record : job.records()) {
    const std::string place = absl::StrCat("conversation ", record.id());
    ASSIGN_OR_RETURN(Conversation conversation,
                     Annotate(ToConversation(record, predictor.info()), place));
    RETURN_IF_ERROR(Annotate(CheckExtractors(predictor.extractors(), ExtractorsOf(record)), place));
    RETURN_IF_ERROR(Annotate(predictor.Check(conversation), place));
    job.conversations().push_back(std::move(conversation));
  }
  return absl::OkStatus();
}

// Predicts the conversations of a job one by one, as `cmerc predict` does those of a stream: the
// answers do not depend, not by a bit, on what else the server has to do.
absl::Status PredictOneByOne(PredictJob& job, Predictor& predictor, Counters& counters) {
  const LoadedModel& model = *job.model();
  const std::vector<View> views = job.explain() ? model.views : std::vector<View>();
  job.predictions().clear();
  for (const Conversation& conversation : job.conversations()) {
    if (std::chrono::steady_clock::now() > job.deadline()) {
      return absl::DeadlineExceededError("the time of the request was over before its end");
    }
    ASSIGN_OR_RETURN(std::vector<PredictedConversation> predictions,
                     predictor.Predict({conversation}, views));
    counters.AddPredicted(model.description.name, 1, predictions[0].utterances_size());
    job.predictions().push_back(std::move(predictions[0]));
  }
  return absl::OkStatus();
}

// Predicts the conversations of all jobs in one pass.
absl::Status PredictTogether(const std::vector<PredictJob*>& jobs, Predictor& predictor,
                             Counters& counters) {
  const LoadedModel& model = *jobs[0]->model();
  std::vector<Conversation> all;
  for (PredictJob* job : jobs) {
    all.insert(all.end(), job->conversations().begin(), job->conversations().end());
  }
  ASSIGN_OR_RETURN(std::vector<PredictedConversation> predictions,
                   predictor.Predict(all, jobs[0]->explain() ? model.views : std::vector<View>()));
  int64_t utterances = 0;
  size_t next = 0;
  for (PredictJob* job : jobs) {
    for (size_t i = 0; i < job->conversations().size(); ++i, ++next) {
      utterances += predictions[next].utterances_size();
      job->predictions().push_back(std::move(predictions[next]));
    }
  }
  counters.AddPredicted(model.description.name, static_cast<int64_t>(all.size()), utterances);
  return absl::OkStatus();
}

// Predicts jobs of one model, those that ask for the same in one pass where `together` allows it.
void RunPredictJobs(const std::vector<PredictJob*>& jobs, bool together, Predictor& predictor,
                    Counters& counters) {
  std::vector<PredictJob*> plain, explained;
  for (PredictJob* job : jobs) {
    const absl::Status prepared = Prepare(*job, predictor);
    if (!prepared.ok()) {
      job->Finish(prepared);
    } else if (!together) {
      job->Finish(PredictOneByOne(*job, predictor, counters));
    } else {
      (job->explain() ? explained : plain).push_back(job);
    }
  }
  for (const std::vector<PredictJob*>& group : {plain, explained}) {
    if (group.empty()) continue;
    const absl::Status status = PredictTogether(group, predictor, counters);
    for (PredictJob* job : group) {
      // What one of them is refused for is not for the others to suffer.
      job->Finish(status.ok() ? status : PredictOneByOne(*job, predictor, counters));
    }
  }
}

}  // namespace

std::vector<std::string> PredictJob::Lines() {
  std::vector<std::string> lines;
  for (size_t i = 0; i < records_.size(); ++i) {
    const CarriedAlong carried = Name(records_[i], &predictions_[i]);
    lines.push_back(PredictionToJson(predictions_[i], carried));
  }
  return lines;
}

void RunJobs(int worker, size_t max_batch, absl::Span<const std::shared_ptr<Job>> jobs,
             Counters& counters) {
  std::vector<PredictJob*> predict_jobs;
  for (const std::shared_ptr<Job>& job : jobs) {
    if (auto* predict = dynamic_cast<PredictJob*>(job.get())) {
      predict_jobs.push_back(predict);
    } else {
      static_cast<CallJob&>(*job).Call();
    }
  }
  if (predict_jobs.empty()) return;
  const LoadedModel& model = *predict_jobs[0]->model();
  Copy& copy = *model.copies[static_cast<size_t>(worker)];
  const std::lock_guard<std::mutex> lock(copy.mutex);
  RunPredictJobs(predict_jobs, max_batch > 1 && !model.batch_mates_matter, copy.predictor,
                 counters);
}

}  // namespace cmerc::serving
