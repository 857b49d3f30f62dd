#include "serving/loaded_model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/dataset.h"
#include "core/status.h"
#include "serving/infer_tensors.h"
#include "torch/types.h"

namespace cmerc::serving {
namespace {

ModelDescription Describe(const std::string& name, int version, const Predictor& predictor,
                          const std::vector<View>& views) {
  ModelDescription description;
  description.name = name;
  description.version = absl::StrCat(version);
  for (const ModalityInfo& modality : predictor.info().modalities) {
    description.modalities.push_back({modality.name, modality.width, modality.num_streams});
  }
  description.class_names = predictor.info().class_names;
  for (const View& view : views) description.views.push_back(view.name());
  description.calibrated = predictor.temperature().has_value();
  description.sets = predictor.rules().sets.has_value();
  description.abstains = predictor.rules().abstain_below.has_value();
  return description;
}

// Predicts two utterances whose features are 0.
absl::Status WarmUp(Predictor& predictor, const std::vector<View>& views) {
  Conversation conversation;
  conversation.id = "warm-up";
  for (const ModalityInfo& modality : predictor.info().modalities) {
    conversation.features.emplace_back(static_cast<size_t>(modality.num_streams),
                                       torch::zeros({2, modality.width}));
  }
  conversation.speakers = torch::zeros({2}, torch::kInt64);
  return predictor.Predict({conversation}, views).status();
}

}  // namespace

absl::StatusOr<std::shared_ptr<LoadedModel>> LoadModel(const std::string& name,
                                                       const std::string& path, int version,
                                                       int copies, const ActingFlags& acting) {
  auto model = std::make_shared<LoadedModel>();
  for (int i = 0; i < copies; ++i) {
    ASSIGN_OR_RETURN(Predictor predictor, Predictor::Load(path));
    if (i > 0) {
      predictor.AnswerBy(model->copies[0]->predictor.rules());
    } else {
      RETURN_IF_ERROR(acting.LetAnswer(path, &predictor));
      model->views = AllViews(predictor.info());
      model->description = Describe(name, version, predictor, model->views);
      model->batch_mates_matter = predictor.BatchMatesMatter();
      RETURN_IF_ERROR(Annotate(CheckNames(model->description), path));
    }
    RETURN_IF_ERROR(Annotate(WarmUp(predictor, model->views), path));
    model->copies.push_back(std::make_unique<Copy>(std::move(predictor)));
  }
  return model;
}

}  // namespace cmerc::serving
