// Predictions as text: a line of JSON for each conversation, or a row of CSV for each utterance.
#ifndef CMERC_CALIBRATION_PREDICTION_TEXT_H_
#define CMERC_CALIBRATION_PREDICTION_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "calibration/prediction.pb.h"
#include "core/view.h"

namespace cmerc {

// What an answer repeats of its input and no model looks at.
struct CarriedAlong {
  struct Utterance {
    bool numeric_id = false;  // its id is a number in the input
    std::string members;      // more members of its object in JSON, without braces: "start":1.5
  };
  bool numeric_id = false;
  std::string members;
  std::vector<Utterance> utterances;  // one each, or none at all
};

// Which of the keys are there that only some answers have.
struct OptionalKeys {
  bool set = false;        // AnswerRules::sets
  bool abstained = false;  // AnswerRules::abstain_below
};

// Whether answers have a key of this name in the object of an utterance (CarriedAlong::members
// cannot).
bool IsAnswerKey(const std::string& key, const OptionalKeys& keys = {});

// A PredictedConversation as a line of JSON, without the newline.
std::string PredictionToJson(const PredictedConversation& prediction,
                             const CarriedAlong& carried = {});

// The answer to an utterance of a conversation that goes on, its `number`-th from 0, as a line of
// JSON without the newline: {"conversation":"d1","utterance":3, and then what PredictionToJson()
// has of the one utterance of `prediction`. `restarted`: the conversation began anew with it, since
// it had been forgotten ("restarted":true).
std::string StreamedToJson(const PredictedConversation& prediction, int64_t number, bool restarted,
                           const CarriedAlong& carried = {});
// That an utterance has no answer, in the same form: {"line":7,"conversation":"d1","id":"u3",
// "error":"..."}. The conversation and the id are left out where they are empty.
std::string RefusalToJson(int64_t line, const PredictedConversation& names,
                          const CarriedAlong& carried, const std::string& error);

// Predictions of one model as CSV (RFC 4180), with these columns:
//   conversation, utterance (0, 1, ...), utterance_id, speaker, true_label, label, confidence,
//   calibrated_confidence, and of each class, in the model's order, probability_CLASS, then
//   calibrated_probability_CLASS; of each of `views` without_VIEW_label,
//   without_VIEW_log_prob_change, without_VIEW_confidence_change; with these keys set, a JSON list,
//   and abstained, true or false; conversation_extra and utterance_extra, the `members` of
//   CarriedAlong as JSON objects; missing, the names of the modalities that the utterance lacks,
//   with ; between them.
// What is absent is an empty field. Texts that a spreadsheet would take for a formula have a ' in
// front (core/printable.h).
class PredictionTable {
 public:
  PredictionTable(std::vector<std::string> class_names, std::vector<View> views,
                  OptionalKeys keys = {})
      : class_names_(std::move(class_names)), views_(std::move(views)), keys_(keys) {}

  // The line with the names of the columns, and its newline.
  std::string Header() const;
  // A line for each utterance, which has probabilities of every class and an entry for each view.
  std::string Rows(const PredictedConversation& prediction, const CarriedAlong& carried = {}) const;

 private:
  const std::vector<std::string> class_names_;
  const std::vector<View> views_;
  const OptionalKeys keys_;
};

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_PREDICTION_TEXT_H_
