// The predictor of trained models for PyTorch, as the class torch.classes.cmerc.Predictor. LibTorch
// itself passes tensors to it as they are, without a copy, and those of NumPy and DLPack that it
// makes tensors of; so there is no module of Python's own interface, which would be of one version
// of Python, and no second library with another copy of Protobuf's descriptors.
#include <torch/custom_class.h>
#include <torch/library.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/prediction_text.h"
#include "calibration/predictor.h"
#include "core/speakers.h"
#include "core/status.h"
#include "metrics/conformal.h"
#include "metrics/json.h"
#include "python/arguments.h"
#include "storage/checkpoint.pb.h"

namespace cmerc::python {
namespace {

using torch::Tensor;

class LoadedPredictor final : public torch::CustomClassHolder {
 public:
  // Throws std::invalid_argument or std::runtime_error with what Predictor::Load() says.
  LoadedPredictor(const std::string& path, const std::vector<std::string>& overrides)
      : predictor_(ValueOf(Predictor::Load(path, overrides))) {}

  // A DatasetDescription as JSON: modalities in the order in which Predict() wants them, classes.
  std::string Describe() const {
    return ToJson(cmerc::Describe(predictor_.info()), /*pretty=*/false);
  }

  // The temperature that predictions are calibrated by; 0 where there is none.
  double Temperature() const { return predictor_.temperature().value_or(0); }

  // Says what answers have beside probabilities: sets of classes of this coverage by this method
  // (docs/sets.md), and whether the largest probability is below `abstain_below`; 0: no such thing.
  void AnswerBy(double coverage, const std::string& method, double abstain_below) {
    AnswerRules rules;
    if (coverage != 0) rules.sets = SetsOf(coverage, method);
    if (abstain_below != 0) {
      if (!(abstain_below > 0 && abstain_below < 1)) {
        throw std::invalid_argument(
            absl::StrCat("abstain_below = ", abstain_below, ", must be > 0 and < 1"));
      }
      rules.abstain_below = abstain_below;
    }
    predictor_.AnswerBy(std::move(rules));
  }

  // Predicts conversations of these ids and lengths in one batch, and without each of `views`. Of
  // each conversation in turn, `speakers` has a name for each utterance, and `features` a tensor
  // [n, D_m] float32 for each stream of each modality, in the order of Describe(). `present` has an
  // [n, M] bool tensor for each conversation, which says which modalities each utterance has, or
  // nothing at all. Returns a PredictedConversation as JSON for each.
  std::vector<std::string> Predict(const std::vector<std::string>& ids,
                                   const std::vector<int64_t>& lengths,
                                   const std::vector<std::string>& speakers,
                                   const std::vector<Tensor>& features,
                                   const std::vector<Tensor>& present,
                                   const std::vector<std::string>& views) {
    const std::vector<Conversation> conversations =
        ConversationsOf(ids, lengths, speakers, features, present);
    const std::vector<PredictedConversation> predicted =
        ValueOf(predictor_.Predict(conversations, ViewsCalled(views, predictor_.info())));
    std::vector<std::string> answers;
    for (const PredictedConversation& prediction : predicted) {
      answers.push_back(PredictionToJson(prediction));
    }
    return answers;
  }

 private:
  SetMaker SetsOf(double coverage, const std::string& method) const {
    const std::vector<std::string>& names = SetMethodNames();
    const auto named = std::find(names.begin(), names.end(), method);
    if (named == names.end() || !(coverage > 0 && coverage < 1)) {
      throw std::invalid_argument(absl::StrCat("sets of coverage ", coverage, " by \"", method,
                                               "\"; want a coverage > 0 and < 1, and one of ",
                                               absl::StrJoin(names, ", ")));
    }
    if (!predictor_.sets().has_value()) {
      throw std::invalid_argument(
          "the checkpoint carries no scores of a validation split to make sets from");
    }
    return SetMaker(*predictor_.sets(), static_cast<SetMethod>(named - names.begin()), coverage);
  }

  std::vector<Conversation> ConversationsOf(const std::vector<std::string>& ids,
                                            const std::vector<int64_t>& lengths,
                                            const std::vector<std::string>& speakers,
                                            const std::vector<Tensor>& features,
                                            const std::vector<Tensor>& present) const {
    const DatasetInfo& info = predictor_.info();
    size_t streams = 0, utterances = 0;
    for (const ModalityInfo& modality : info.modalities) {
      streams += static_cast<size_t>(modality.num_streams);
    }
    for (const int64_t length : lengths) {
      if (length < 1) throw std::invalid_argument("a conversation has no utterance");
      utterances += static_cast<size_t>(length);
    }
    if (lengths.size() != ids.size() || speakers.size() != utterances ||
        features.size() != streams * ids.size() ||
        (!present.empty() && present.size() != ids.size())) {
      throw std::invalid_argument(absl::StrCat(
          ids.size(), " ids, ", lengths.size(), " lengths with the sum ", utterances, ", ",
          speakers.size(), " speakers, ", features.size(), " features and ", present.size(),
          " present do not fit each other: want a speaker for each utterance and ", streams,
          " features for each conversation"));
    }
    std::vector<Conversation> conversations;
    auto feature = features.begin();
    auto speaker = speakers.begin();
    for (size_t i = 0; i < ids.size(); ++i) {
      Conversation conversation;
      conversation.id = ids[i];
      for (const ModalityInfo& modality : info.modalities) {
        conversation.features.emplace_back(feature, feature + modality.num_streams);
        feature += modality.num_streams;
      }
      const std::vector<std::string> names(speaker, speaker + lengths[i]);
      speaker += lengths[i];
      const std::vector<int64_t> indices =
          ValueOf(Annotate(SpeakerIndices(names, info), absl::StrCat("conversation ", ids[i])));
      conversation.speakers = torch::tensor(indices, torch::kInt64);
      if (!present.empty()) conversation.present = present[i];
      conversations.push_back(std::move(conversation));
    }
    return conversations;
  }

  Predictor predictor_;
};

void AnswerBy(const c10::intrusive_ptr<LoadedPredictor>& predictor, double coverage,
              const std::string& method, double abstain_below) {
  predictor->AnswerBy(coverage, method, abstain_below);
}

std::vector<std::string> Predict(const c10::intrusive_ptr<LoadedPredictor>& predictor,
                                 const std::vector<std::string>& ids,
                                 const std::vector<int64_t>& lengths,
                                 const std::vector<std::string>& speakers,
                                 const std::vector<Tensor>& features,
                                 const std::vector<Tensor>& present,
                                 const std::vector<std::string>& views) {
  return predictor->Predict(ids, lengths, speakers, features, present, views);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cmerc, library) {
  library.class_<LoadedPredictor>("Predictor")
      .def(torch::init<std::string, std::vector<std::string>>())
      .def("describe", &LoadedPredictor::Describe)
      .def("temperature", &LoadedPredictor::Temperature);
  // Operators and no methods, of which every exception would be a RuntimeError.
  library.def(
      "answer_by(__torch__.torch.classes.cmerc.Predictor predictor, float coverage, str method, "
      "float abstain_below) -> ()",
      &AnswerBy);
  library.def(
      "predict(__torch__.torch.classes.cmerc.Predictor predictor, str[] ids, int[] lengths, str[] "
      "speakers, Tensor[] features, Tensor[] present, str[] views) -> str[]",
      &Predict);
}

}  // namespace cmerc::python
