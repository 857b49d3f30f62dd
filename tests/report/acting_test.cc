// What of a run can be acted on, as the page shows it.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "report/page.h"
#include "report/run.h"
#include "tests/report/sample_run.h"
#include "tests/report/xml.h"

namespace cmerc::report {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr char kActing[] = R"pb(
  f1_without { classes: "joy" micro_f1: 0.625 macro_f1: 0.5 weighted_f1: 0.75 }
  sets {
    methods {
      method: "split"
      asked: 0.9
      calibration_conversations: 12
      conversation_coverage: 0.875
      conversation_coverage_error { value: 0.031 }
      coverage: 0.861
      mean_size: 1.25
      share_empty: 0.011
      share_single: 0.7
      share_all: 0.289
      classes {
        name: "joy"
        utterances: 3
        coverage { value: 0.666 }
        mean_size { value: 1.75 }
      }
      classes { name: "fear & <loathing>" utterances: 0 }
      remarks: "every <class> is in every set"
    }
  }
  risk_coverage {
    confidence: "calibrated_confidence"
    points {
      threshold: 0
      answered: 5
      share_answered: 1
      accuracy { value: 0.8 }
    }
    points {
      threshold: 0.5
      answered: 2
      share_answered: 0.4
      accuracy { value: 0.95 }
    }
    points { threshold: 0.95 answered: 0 share_answered: 0 }
  }
)pb";

TrainingRun RunThatActs() {
  const absl::StatusOr<TrainingRun> read = ReadRun(WriteSampleRun("acting"));
  EXPECT_TRUE(read.ok()) << read.status();
  TrainingRun run = *read;
  EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(kActing, run.summary->mutable_test()));
  LossClassWeights* weights = run.summary->mutable_class_weights()->add_losses();
  weights->set_loss("cmerc.NllOptions");
  (*weights->mutable_weights())["joy"] = 0.5;
  (*weights->mutable_weights())["fear & <loathing>"] = 2;
  return run;
}

std::vector<std::string> Texts(const XmlElement& root, const std::string& tag) {
  std::vector<std::string> texts;
  for (const XmlElement& element : FindAll(root, tag)) texts.push_back(element.text);
  return texts;
}

TEST(FormatActingTest, SetsAndDecliningAreOnThePage) {
  const absl::StatusOr<XmlElement> page = ParseXml(FormatPage({RunThatActs()}));
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(Texts(*page, "h3"), Contains("What can be acted on?"));
  EXPECT_THAT(Texts(*page, "h4"),
              AllOf(Contains("Sets of classes"), Contains("Declining to answer"),
                    Contains("F1 over the other classes")));
  EXPECT_THAT(Texts(*page, "td"),
              AllOf(Contains("87.5 % ± 3.1 %"), Contains("86.1 %"), Contains("28.9 %"),
                    Contains("66.6 %"), Contains("1.75"), Contains("62.5 %"), Contains("95.0 %")));
  EXPECT_THAT(Texts(*page, "li"), Contains("split: every <class> is in every set."));
  EXPECT_THAT(Texts(*page, "figcaption"), Contains("Answered and right, by threshold"));
  EXPECT_THAT(Texts(*page, "dt"), Contains("Class weights, Nll"));
  EXPECT_THAT(Texts(*page, "dd"), Contains("joy 0.5, fear & <loathing> 2"));
}

TEST(FormatActingTest, ARunWithoutThemHasNoSectionOfThem) {
  TrainingRun run = RunThatActs();
  run.summary->mutable_test()->clear_sets();
  EXPECT_THAT(FormatPage({run}),
              AllOf(Not(HasSubstr("Sets of classes")), HasSubstr("What can be acted on?")));
  run.summary->mutable_test()->clear_risk_coverage();
  EXPECT_THAT(FormatPage({run}), Not(HasSubstr("What can be acted on?")));
}

TEST(ReadRunTest, ThresholdsMustAscend) {
  const std::string folder = WriteSampleRun("thresholds");
  const std::string path = folder + "/summary.json";
  const std::string good = ReadText(path);
  for (const char* points : {R"([{"threshold": 0.5}, {"threshold": 0.5}])", R"([{"threshold": 2}])",
                             R"([{"threshold": "NaN"}])"}) {
    WriteText(path, absl::StrReplaceAll(
                        good, {{"\"test\": {", absl::StrCat("\"test\": {\"risk_coverage\": "
                                                            "{\"points\": ",
                                                            points, "},")}}));
    const absl::Status status = ReadRun(folder).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("test.risk_coverage.points: threshold = "),
                      HasSubstr("must be in [0, 1], in ascending order")));
  }
}

}  // namespace
}  // namespace cmerc::report
