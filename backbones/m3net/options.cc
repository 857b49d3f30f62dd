#include "backbones/m3net/options.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backbones/layers/modality_names.h"
#include "backbones/layers/past_context.h"

namespace cmerc {
namespace {

class Errors {
 public:
  void Add(const std::string& error) { AddWhole(absl::StrCat("cmerc.M3NetOptions: ", error)); }
  // `error` names the options itself.
  void AddWhole(std::string error) { errors_.push_back(std::move(error)); }
  template <typename T>
  void AddField(const char* name, const T& value, const std::string& rule) {
    Add(absl::StrCat(name, " = ", value, ", ", rule));
  }
  absl::Status ToStatus() const {
    if (errors_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrJoin(errors_, "; "));
  }

 private:
  std::vector<std::string> errors_;
};

void CheckInputWidth(const M3NetOptions& options, Errors& errors) {
  if (options.input_width() % 2 != 0) {
    errors.AddField("input_width", options.input_width(),
                    "must be even (half of it for each direction of the encoder)");
  } else if (options.text_encoder() == M3NetOptions::TRANSFORMER &&
             options.input_width() % 4 != 0) {
    errors.AddField("input_width", options.input_width(),
                    "must be a multiple of 4 with text_encoder: TRANSFORMER (it has 4 heads)");
  }
}

// Adds an error for what sees later utterances, where the data has none for an utterance to draw
// on.
void CheckContext(const M3NetOptions& options, const DatasetInfo& info, Errors& errors) {
  if (!DrawsOnPastAlone(info)) return;
  const absl::Status official =
      CheckOfficialContext("cmerc.M3NetOptions", options.semantics() == OFFICIAL, info);
  if (!official.ok()) errors.AddWhole(std::string(official.message()));
  if (options.norm() == M3NetOptions::LN2) {
    errors.AddField("norm", "LN2",
                    "must be BN, LN or NO_NORM with data.context: PAST: it normalizes over a whole "
                    "conversation");
  }
}

void CheckModalities(const M3NetOptions& options, const DatasetInfo& info, Errors& errors) {
  for (const std::string& error : ModalityNameErrors(info)) errors.Add(error);
  const int64_t encoded = FindModality(info, options.encoded_modality());
  if (encoded < 0) {
    std::vector<std::string> names;
    for (const ModalityInfo& modality : info.modalities) names.push_back(modality.name);
    errors.AddField("encoded_modality", absl::StrCat("\"", options.encoded_modality(), "\""),
                    absl::StrCat("must be a modality of the data: ", absl::StrJoin(names, ", ")));
  } else if (!info.modalities.empty() && !options.text_linear() &&
             info.modalities[encoded].width != options.input_width()) {
    errors.AddField("text_linear", "false",
                    absl::StrCat("needs input_width = ", options.input_width(),
                                 " to be the width of ", info.modalities[encoded].name, ", ",
                                 info.modalities[encoded].width, "; set text_linear: true"));
  }
}

}  // namespace

absl::Status CheckM3NetOptions(const M3NetOptions& options, const DatasetInfo& info) {
  Errors errors;
  CheckInputWidth(options, errors);
  CheckModalities(options, info, errors);
  CheckContext(options, info, errors);
  return errors.ToStatus();
}

std::optional<SequenceEncoder::Kind> EncoderKind(const M3NetOptions& options) {
  switch (options.text_encoder()) {
    case M3NetOptions::GRU:
      return SequenceEncoder::Kind::kGru;
    case M3NetOptions::LSTM:
      return SequenceEncoder::Kind::kLstm;
    case M3NetOptions::TRANSFORMER:
      return SequenceEncoder::Kind::kTransformer;
    case M3NetOptions::NO_ENCODER:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace cmerc
