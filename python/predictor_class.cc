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
#include "core/shape.h"
#include "core/speakers.h"
#include "core/status.h"
#include "metrics/conformal.h"
#include "metrics/json.h"
#include "python/arguments.h"
#include "storage/checkpoint.pb.h"

namespace cmerc::python {
namespace {

using torch::Tensor;

// An entry for each conversation, by the names of modalities.
using Names = c10::List<c10::List<std::string>>;
using Features = c10::List<c10::Dict<std::string, c10::List<Tensor>>>;
using Present = c10::List<c10::Dict<std::string, Tensor>>;

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

  // Predicts conversations of these ids in one batch, and without each of `views`. Of each
  // conversation, `speakers` has a name for each of its n utterances, `features` by the name of a
  // modality [n, D_m] float32 of each of its streams, `present` by such a name [n] bool: which
  // utterances have it, all where it is not named. A modality that is not in `features` is missing.
  // Returns a PredictedConversation as JSON for each.
  std::vector<std::string> Predict(const std::vector<std::string>& ids, const Names& speakers,
                                   const Features& features, const Present& present,
                                   const std::vector<std::string>& views) {
    if (speakers.size() != ids.size() || features.size() != ids.size() ||
        present.size() != ids.size()) {
      throw std::invalid_argument(absl::StrCat("there are ", ids.size(), " ids, ", speakers.size(),
                                               " lists of speakers, ", features.size(),
                                               " features and ", present.size(),
                                               " present; want one of each a conversation"));
    }
    std::vector<Conversation> conversations;
    for (size_t i = 0; i < ids.size(); ++i) {
      conversations.push_back(
          ConversationOf(ids[i], speakers.get(i), features.get(i), present.get(i)));
    }
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

  // Throws std::invalid_argument, with the id in front, for what is not of the model.
  Conversation ConversationOf(const std::string& id, const c10::List<std::string>& speakers,
                              const c10::Dict<std::string, c10::List<Tensor>>& features,
                              const c10::Dict<std::string, Tensor>& present) const {
    const DatasetInfo& info = predictor_.info();
    const std::string where = absl::StrCat("conversation ", id);
    const std::vector<std::string> names(speakers.begin(), speakers.end());
    const auto length = static_cast<int64_t>(names.size());
    if (length == 0) throw std::invalid_argument(where + " has no utterance");
    Conversation conversation;
    conversation.id = id;
    conversation.speakers =
        torch::tensor(ValueOf(Annotate(SpeakerIndices(names, info), where)), torch::kInt64);
    std::vector<Tensor> has;
    size_t given = 0;
    for (const ModalityInfo& modality : info.modalities) {
      const auto found = features.find(modality.name);
      const bool missing = found == features.end();
      std::vector<Tensor> streams(static_cast<size_t>(modality.num_streams),
                                  torch::zeros({missing ? length : 0, modality.width}));
      if (!missing) {
        ++given;
        streams = found->value().vec();
      }
      if (streams.size() != static_cast<size_t>(modality.num_streams)) {
        throw std::invalid_argument(
            absl::StrCat(where, ": ", modality.name, " has ", streams.size(), " streams, want ",
                         modality.num_streams, ", as in training: a list of arrays"));
      }
      conversation.features.push_back(std::move(streams));
      const auto said = present.find(modality.name);
      has.push_back(said == present.end() || missing ? torch::full({length}, !missing, torch::kBool)
                                                     : PresentOf(said->value(), length, where));
    }
    if (given < info.modalities.size()) RefuseUnknown(features, "features", where);
    RefuseUnknown(present, "present", where);
    conversation.present = torch::stack(has, 1);
    return conversation;
  }

  static Tensor PresentOf(const Tensor& present, int64_t length, const std::string& where) {
    if (present.sizes() == torch::IntArrayRef({length}) && present.scalar_type() == torch::kBool) {
      return present;
    }
    throw std::invalid_argument(
        absl::StrCat(where, ": present has shape ", ShapeString(present.sizes()), " and dtype ",
                     c10::toString(present.scalar_type()), ", want [", length, "] Bool"));
  }

  // Throws std::invalid_argument where `of` names a modality that the model does not have.
  template <typename Value>
  void RefuseUnknown(const c10::Dict<std::string, Value>& of, const std::string& what,
                     const std::string& where) const {
    std::vector<std::string> known;
    for (const ModalityInfo& modality : predictor_.info().modalities)
      known.push_back(modality.name);
    for (const auto& entry : of) {
      if (std::find(known.begin(), known.end(), entry.key()) != known.end()) continue;
      throw std::invalid_argument(absl::StrCat(where, ": ", what, " has ", entry.key(),
                                               ", but the model has ", absl::StrJoin(known, ", ")));
    }
  }

  Predictor predictor_;
};

void AnswerBy(const c10::intrusive_ptr<LoadedPredictor>& predictor, double coverage,
              const std::string& method, double abstain_below) {
  predictor->AnswerBy(coverage, method, abstain_below);
}

std::vector<std::string> Predict(const c10::intrusive_ptr<LoadedPredictor>& predictor,
                                 const std::vector<std::string>& ids, const Names& speakers,
                                 const Features& features, const Present& present,
                                 const std::vector<std::string>& views) {
  return predictor->Predict(ids, speakers, features, present, views);
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
      "predict(__torch__.torch.classes.cmerc.Predictor predictor, str[] ids, str[][] speakers, "
      "Dict(str, Tensor[])[] features, Dict(str, Tensor)[] present, str[] views) -> str[]",
      &Predict);
}

}  // namespace cmerc::python
