#include "serving/infer_tensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "core/status.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/utf8.h"
#include "registry/nearest_name.h"
#include "serving/raw_tensor.h"

namespace cmerc::serving {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using TensorMetadata = inference::ModelMetadataResponse::TensorMetadata;

constexpr char kSpeakers[] = "speakers";
constexpr char kLengths[] = "lengths";
constexpr char kEvidence[] = "evidence";
constexpr char kConversationIds[] = "conversation_ids";
constexpr char kUtteranceIds[] = "utterance_ids";
// With `true`, outputs that are not named one by one have the table `without` too.
constexpr char kExplain[] = "explain";

TensorMetadata Tensor(const std::string& name, const std::string& datatype,
                      const std::vector<int64_t>& shape) {
  TensorMetadata tensor;
  tensor.set_name(name);
  tensor.set_datatype(datatype);
  for (const int64_t size : shape) tensor.add_shape(size);
  return tensor;
}

bool IsPartOfWithout(absl::string_view output) {
  return output.substr(0, std::strlen("without_")) == "without_";
}

std::string ShapeText(const google::protobuf::RepeatedField<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::Status Problem(absl::string_view tensor, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("input \"", tensor, "\" ", problem));
}

// The inputs of a request by name, with their values.
class Inputs {
 public:
  static absl::StatusOr<Inputs> Of(const ModelInferRequest& request,
                                   const ModelDescription& model) {
    Inputs inputs;
    if (request.raw_input_contents_size() > 0 &&
        request.raw_input_contents_size() != request.inputs_size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the request has ", request.inputs_size(), " inputs and ",
          request.raw_input_contents_size(), " raw_input_contents; want one for each, or none"));
    }
    std::vector<std::string> known;
    for (const TensorMetadata& tensor : InputTensors(model)) known.push_back(tensor.name());
    for (int i = 0; i < request.inputs_size(); ++i) {
      const std::string& name = request.inputs(i).name();
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        const std::string nearest = NearestName(name, known);
        return Problem(name, absl::StrCat("is none of the model's: ", absl::StrJoin(known, ", "),
                                          nearest.empty() ? "" : "; did you mean ", nearest,
                                          nearest.empty() ? "" : "?"));
      }
      if (!inputs.places_.emplace(name, i).second) return Problem(name, "is there twice");
    }
    inputs.request_ = &request;
    return inputs;
  }

  bool Has(const std::string& name) const { return places_.count(name) > 0; }

  // The tensor, of the datatype that is wanted and this shape. InvalidArgument: another one.
  absl::StatusOr<RawTensor> Read(const std::string& name, const std::string& datatype,
                                 const std::vector<int64_t>& shape) const {
    const int place = places_.at(name);
    const ModelInferRequest::InferInputTensor& input = request_->inputs(place);
    if (input.datatype() != datatype) {
      return Problem(name,
                     absl::StrCat("has the datatype ", input.datatype(), ", want ", datatype));
    }
    if (!std::equal(shape.begin(), shape.end(), input.shape().begin(), input.shape().end())) {
      return Problem(name, absl::StrCat("has the shape ", ShapeText(input.shape()), ", want [",
                                        absl::StrJoin(shape, ", "), "]"));
    }
    return Annotate(request_->raw_input_contents_size() > 0
                        ? RawTensor::FromRaw(input, request_->raw_input_contents(place))
                        : RawTensor::FromContents(input),
                    absl::StrCat("input \"", name, "\""));
  }

  // The one number in the shape of a tensor of one dimension.
  absl::StatusOr<int64_t> LengthOf(const std::string& name) const {
    const auto& shape = request_->inputs(places_.at(name)).shape();
    if (shape.size() == 1 && shape[0] >= 1) return shape[0];
    return Problem(name, absl::StrCat("has the shape ", ShapeText(shape),
                                      ", want one dimension of at least 1"));
  }

  const std::string& DatatypeOf(const std::string& name) const {
    return request_->inputs(places_.at(name)).datatype();
  }

 private:
  const ModelInferRequest* request_ = nullptr;
  std::map<std::string, int> places_;
};

// How many utterances each conversation has.
absl::StatusOr<std::vector<int64_t>> ReadLengths(const Inputs& inputs, int64_t num_utterances) {
  if (!inputs.Has(kLengths)) return std::vector<int64_t>{num_utterances};
  ASSIGN_OR_RETURN(const int64_t count, inputs.LengthOf(kLengths));
  if (count > num_utterances) {
    return Problem(kLengths, absl::StrCat("names ", count, " conversations, but there are ",
                                          num_utterances, " utterances"));
  }
  const std::string datatype = inputs.DatatypeOf(kLengths) == "INT32" ? "INT32" : "INT64";
  ASSIGN_OR_RETURN(const RawTensor tensor, inputs.Read(kLengths, datatype, {count}));
  std::vector<int64_t> lengths = tensor.Integers();
  int64_t sum = 0;
  for (const int64_t length : lengths) {
    // Checked one by one, so that the sum cannot overflow.
    if (length < 1 || length > num_utterances - sum) {
      return Problem(kLengths,
                     absl::StrCat("has ", length, " after ", sum, " of the ", num_utterances,
                                  " utterances; each must be at least 1, and their sum "
                                  "the number of speakers"));
    }
    sum += length;
  }
  if (sum == num_utterances) return lengths;
  return Problem(kLengths, absl::StrCat("sums up to ", sum, ", want ", num_utterances,
                                        ", the number of speakers"));
}

// Names of `count` things; empty where the input is not there.
absl::StatusOr<std::vector<std::string>> ReadNames(const Inputs& inputs, const std::string& name,
                                                   int64_t count) {
  if (!inputs.Has(name)) return std::vector<std::string>();
  ASSIGN_OR_RETURN(const RawTensor tensor, inputs.Read(name, "BYTES", {count}));
  std::vector<std::string> names = tensor.Texts();
  for (size_t i = 0; i < names.size(); ++i) {
    if (datasets::IsUtf8(names[i])) continue;
    return Problem(name, absl::StrCat("has a text ", i, " that is no UTF-8"));
  }
  return names;
}

// Adds to each of `records`, which have their utterances, what they have of one modality.
absl::Status AddModality(const ModelDescription::Modality& modality, size_t m,
                         const RawTensor& values, const std::vector<bool>& present,
                         size_t num_modalities, std::vector<ConversationRecord>& records) {
  const auto row_size = static_cast<size_t>(modality.width * modality.streams);
  size_t row = 0;
  for (ConversationRecord& record : records) {
    ConversationRecord::Modality added;
    added.set_name(modality.name);
    added.set_width(static_cast<int32_t>(modality.width));
    for (int64_t s = 0; s < modality.streams; ++s) added.add_streams();
    for (int u = 0; u < record.utterances_size(); ++u, ++row) {
      if (!present.empty() && !present[row * num_modalities + m]) {
        added.add_absent(u);
        continue;
      }
      for (int64_t s = 0; s < modality.streams; ++s) {
        values.AppendFloats(row * row_size + static_cast<size_t>(s * modality.width),
                            static_cast<size_t>(modality.width),
                            added.mutable_streams(static_cast<int>(s))->mutable_values());
      }
    }
    if (added.absent_size() < record.utterances_size()) {
      *record.add_modalities() = std::move(added);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ConversationRecord>> ReadConversations(const Inputs& inputs,
                                                                  const ModelDescription& model,
                                                                  int64_t max_utterances) {
  if (!inputs.Has(kSpeakers)) {
    return Problem(kSpeakers, "is missing: who says each utterance, BYTES [N]");
  }
  ASSIGN_OR_RETURN(const int64_t count, inputs.LengthOf(kSpeakers));
  if (count > max_utterances) {
    return Problem(kSpeakers, absl::StrCat("names ", count, " utterances, and a request may have ",
                                           max_utterances, " (--max_utterances)"));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> speakers, ReadNames(inputs, kSpeakers, count));
  ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, ReadLengths(inputs, count));
  ASSIGN_OR_RETURN(const std::vector<std::string> ids,
                   ReadNames(inputs, kConversationIds, static_cast<int64_t>(lengths.size())));
  ASSIGN_OR_RETURN(const std::vector<std::string> utterance_ids,
                   ReadNames(inputs, kUtteranceIds, count));
  const auto num_modalities = static_cast<int64_t>(model.modalities.size());
  std::vector<bool> present;
  if (inputs.Has(kEvidence)) {
    ASSIGN_OR_RETURN(const RawTensor flags,
                     inputs.Read(kEvidence, "BOOL", {count, num_modalities}));
    present = flags.Flags();
  }
  std::vector<ConversationRecord> records(lengths.size());
  size_t row = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    records[i].set_id(ids.empty() ? absl::StrCat(i) : ids[i]);
    for (int64_t u = 0; u < lengths[i]; ++u, ++row) {
      ConversationRecord::Utterance* utterance = records[i].add_utterances();
      utterance->set_speaker(speakers[row]);
      if (!utterance_ids.empty()) utterance->set_id(utterance_ids[row]);
    }
  }
  for (size_t m = 0; m < model.modalities.size(); ++m) {
    const ModelDescription::Modality& modality = model.modalities[m];
    if (!inputs.Has(modality.name)) continue;
    std::vector<int64_t> shape = {count, modality.width};
    if (modality.streams > 1) shape.insert(shape.begin() + 1, modality.streams);
    ASSIGN_OR_RETURN(const RawTensor values, inputs.Read(modality.name, "FP32", shape));
    RETURN_IF_ERROR(AddModality(modality, m, values, present, model.modalities.size(), records));
  }
  for (const ConversationRecord& record : records) {
    RETURN_IF_ERROR(Annotate(CheckRecord(record), absl::StrCat("conversation ", record.id())));
  }
  return records;
}

absl::StatusOr<bool> ReadExplain(const ModelInferRequest& request) {
  const auto found = request.parameters().find(kExplain);
  if (found == request.parameters().end()) return false;
  if (found->second.parameter_choice_case() == inference::InferParameter::kBoolParam) {
    return found->second.bool_param();
  }
  return absl::InvalidArgumentError("the parameter \"explain\" must be true or false");
}

// The bytes of the tensors of an answer.
class OutputWriter {
 public:
  OutputWriter(const ModelDescription& model, const std::vector<PredictedConversation>& predictions,
               const std::vector<std::string>& lines)
      : model_(model), predictions_(predictions), lines_(lines) {
    for (const PredictedConversation& one : predictions) num_utterances_ += one.utterances_size();
  }

  std::string ValuesOf(const std::string& output) const {
    if (output == kPrediction) {
      std::string bytes;
      for (const std::string& line : lines_) AppendText(line, &bytes);
      return bytes;
    }
    std::string bytes;
    for (const PredictedConversation& one : predictions_) {
      for (const PredictedUtterance& utterance : one.utterances()) {
        AppendUtterance(output, utterance, &bytes);
      }
    }
    return bytes;
  }

  // -1 becomes the number that it stands for.
  int64_t Size(const std::string& output, int64_t size) const {
    if (size >= 0) return size;
    return output == kPrediction ? static_cast<int64_t>(lines_.size()) : num_utterances_;
  }

 private:
  template <typename Map>
  void AppendClasses(const Map& probabilities, std::string* bytes) const {
    for (const std::string& name : model_.class_names) {
      AppendDouble(probabilities.at(name), bytes);
    }
  }

  static void AppendMembers(const google::protobuf::ListValue& members,
                            const std::vector<std::string>& names, std::string* bytes) {
    std::set<std::string> are_in;
    for (const auto& member : members.values()) are_in.insert(member.string_value());
    for (const std::string& name : names) bytes->push_back(are_in.count(name) > 0 ? 1 : 0);
  }

  void AppendUtterance(const std::string& output, const PredictedUtterance& utterance,
                       std::string* bytes) const {
    if (output == "label") {
      AppendText(utterance.label(), bytes);
    } else if (output == "confidence") {
      AppendDouble(utterance.confidence(), bytes);
    } else if (output == "probabilities") {
      AppendClasses(utterance.probabilities(), bytes);
    } else if (output == "calibrated_confidence") {
      AppendDouble(utterance.calibrated_confidence().value(), bytes);
    } else if (output == "calibrated_probabilities") {
      AppendClasses(utterance.calibrated_probabilities(), bytes);
    } else if (output == "set") {
      AppendMembers(utterance.set(), model_.class_names, bytes);
    } else if (output == "abstained") {
      bytes->push_back(utterance.abstained().value() ? 1 : 0);
    } else if (output == "missing") {
      std::vector<std::string> names;
      for (const auto& modality : model_.modalities) names.push_back(modality.name);
      AppendMembers(utterance.missing(), names, bytes);
    } else {
      for (const ViewChange& change : utterance.without()) AppendChange(output, change, bytes);
    }
  }

  static void AppendChange(const std::string& output, const ViewChange& change,
                           std::string* bytes) {
    if (output == "without_label") {
      AppendText(change.label(), bytes);
    } else {
      AppendDouble(output == "without_log_prob_change" ? change.log_prob_change()
                                                       : change.confidence_change(),
                   bytes);
    }
  }

  const ModelDescription& model_;
  const std::vector<PredictedConversation>& predictions_;
  const std::vector<std::string>& lines_;
  int64_t num_utterances_ = 0;
};

}  // namespace

std::vector<TensorMetadata> InputTensors(const ModelDescription& model) {
  std::vector<TensorMetadata> tensors;
  for (const ModelDescription::Modality& modality : model.modalities) {
    std::vector<int64_t> shape = {-1, modality.width};
    if (modality.streams > 1) shape.insert(shape.begin() + 1, modality.streams);
    tensors.push_back(Tensor(modality.name, "FP32", shape));
  }
  tensors.push_back(Tensor(kSpeakers, "BYTES", {-1}));
  tensors.push_back(Tensor(kLengths, "INT64", {-1}));
  tensors.push_back(Tensor(kEvidence, "BOOL", {-1, static_cast<int64_t>(model.modalities.size())}));
  tensors.push_back(Tensor(kConversationIds, "BYTES", {-1}));
  tensors.push_back(Tensor(kUtteranceIds, "BYTES", {-1}));
  return tensors;
}

std::vector<TensorMetadata> OutputTensors(const ModelDescription& model) {
  const auto classes = static_cast<int64_t>(model.class_names.size());
  const auto views = static_cast<int64_t>(model.views.size());
  std::vector<TensorMetadata> tensors = {
      Tensor("label", "BYTES", {-1}),
      Tensor("confidence", "FP64", {-1}),
      Tensor("probabilities", "FP64", {-1, classes}),
  };
  if (model.calibrated) {
    tensors.push_back(Tensor("calibrated_confidence", "FP64", {-1}));
    tensors.push_back(Tensor("calibrated_probabilities", "FP64", {-1, classes}));
  }
  if (model.sets) tensors.push_back(Tensor("set", "BOOL", {-1, classes}));
  if (model.abstains) tensors.push_back(Tensor("abstained", "BOOL", {-1}));
  tensors.push_back(Tensor("missing", "BOOL", {-1, static_cast<int64_t>(model.modalities.size())}));
  tensors.push_back(Tensor(kPrediction, "BYTES", {-1}));
  tensors.push_back(Tensor("without_label", "BYTES", {-1, views}));
  tensors.push_back(Tensor("without_log_prob_change", "FP64", {-1, views}));
  tensors.push_back(Tensor("without_confidence_change", "FP64", {-1, views}));
  return tensors;
}

absl::Status CheckNames(const ModelDescription& model) {
  std::set<std::string> names;
  for (const TensorMetadata& tensor : InputTensors(model)) {
    if (names.insert(tensor.name()).second) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "the model has a modality called \"", tensor.name(),
        "\", which is the name of an input that every request may have; train it again from data "
        "that call the modality otherwise"));
  }
  return absl::OkStatus();
}

absl::StatusOr<InferInput> ReadInferRequest(const ModelInferRequest& request,
                                            const ModelDescription& model, int64_t max_utterances) {
  InferInput input;
  ASSIGN_OR_RETURN(const bool explain, ReadExplain(request));
  std::vector<std::string> known;
  for (const TensorMetadata& tensor : OutputTensors(model)) known.push_back(tensor.name());
  for (const auto& output : request.outputs()) {
    if (std::find(known.begin(), known.end(), output.name()) == known.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "output \"", output.name(), "\" is none of this model's: ", absl::StrJoin(known, ", ")));
    }
    if (std::count(input.outputs.begin(), input.outputs.end(), output.name()) > 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("output \"", output.name(), "\" is asked for twice"));
    }
    input.outputs.push_back(output.name());
  }
  if (input.outputs.empty()) {
    for (const std::string& name : known) {
      if (explain || !IsPartOfWithout(name)) input.outputs.push_back(name);
    }
  }
  input.explain =
      explain || std::any_of(input.outputs.begin(), input.outputs.end(), IsPartOfWithout);
  ASSIGN_OR_RETURN(const Inputs inputs, Inputs::Of(request, model));
  ASSIGN_OR_RETURN(input.conversations, ReadConversations(inputs, model, max_utterances));
  return input;
}

ModelInferResponse WriteInferResponse(const ModelInferRequest& request,
                                      const ModelDescription& model, const InferInput& input,
                                      const std::vector<PredictedConversation>& predictions,
                                      const std::vector<std::string>& lines) {
  ModelInferResponse response;
  response.set_model_name(model.name);
  response.set_model_version(model.version);
  response.set_id(request.id());
  std::map<std::string, TensorMetadata> tensors;
  for (const TensorMetadata& tensor : OutputTensors(model)) tensors[tensor.name()] = tensor;
  const OutputWriter writer(model, predictions, lines);
  for (const std::string& name : input.outputs) {
    ModelInferResponse::InferOutputTensor* output = response.add_outputs();
    output->set_name(name);
    output->set_datatype(tensors[name].datatype());
    for (const int64_t size : tensors[name].shape()) output->add_shape(writer.Size(name, size));
    response.add_raw_output_contents(writer.ValuesOf(name));
  }
  return response;
}

}  // namespace cmerc::serving
