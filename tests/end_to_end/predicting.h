// A trained model and conversations for it, for tests of `cmerc predict`.
#ifndef CMERC_TESTS_END_TO_END_PREDICTING_H_
#define CMERC_TESTS_END_TO_END_PREDICTING_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "calibration/prediction.pb.h"
#include "core/dataset.h"
#include "tests/bin/cmerc_process.h"

namespace cmerc {

// The lines of a text that ends with one.
std::vector<std::string> Lines(const std::string& text);

// Lines of JSON as messages.
std::vector<PredictedConversation> Parse(const std::string& text);

// A folder with "run", a model that carries a temperature, "test.jsonl", nine conversations without
// labels, all of the test split of its data, and "labelled.jsonl", the same with labels.
class PredictFixture : public testing::Test {
 protected:
  static void SetUpTestSuite();

  static void Write(const std::string& file, const std::vector<std::string>& lines);

  // `cmerc predict --checkpoint=run/selected.pth` and more.
  static Outcome Predict(const std::vector<std::string>& more,
                         const std::string& standard_input = "/dev/null");

  // The standard output of a Predict() that must end well.
  static std::string MustPredict(const std::vector<std::string>& more);

  static std::string* folder_;
  static DatasetInfo* info_;
  static std::vector<Conversation>* conversations_;  // the test split
  static std::vector<std::string>* lines_;           // the same as JSON, without labels
};

// `cmerc predict --input=-` in a PredictFixture's folder, with both its ends in the test's hands.
class Conversing {
 public:
  explicit Conversing(const std::string& folder, const std::vector<std::string>& more = {},
                      const std::string& checkpoint = "run/selected.pth");

  void Say(const std::string& text) const;
  void CloseInput() const;
  void CloseOutput() const;
  std::string HearLine() const;
  void Signal(int signal) const;
  // Its exit code, and in `errors` what it wrote to standard error.
  int End(std::string* errors) const;

 private:
  pid_t child_;
  int in_, out_, err_;
};

}  // namespace cmerc

#endif  // CMERC_TESTS_END_TO_END_PREDICTING_H_
