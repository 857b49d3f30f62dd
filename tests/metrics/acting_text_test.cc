#include "metrics/acting_text.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::Not;

template <typename Message>
Message Parsed(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

TEST(FormatSetsTest, SaysWhatIsPromisedAndWhatIsSeen) {
  const SetReport report = Parsed<SetReport>(R"pb(
    method: "class_conditional"
    asked: 0.9
    calibration_conversations: 12
    conversation_coverage: 0.875
    conversation_coverage_error { value: 0.0312 }
    coverage: 0.86
    mean_size: 2.345
    share_empty: 0.01
    share_single: 0.25
    share_all: 0.125
    classes {
      name: "hap"
      utterances: 7
      coverage { value: 0.5 }
      conversation_coverage { value: 0.625 }
      mean_size { value: 1.5 }
    }
    classes { name: "a\nnew line" utterances: 0 }
    remarks: "few conversations"
  )pb");
  EXPECT_EQ(FormatSets(report),
            "sets of classes (class-conditional), coverage asked for: 0.9, calibrated on 12 "
            "conversations\n"
            "  coverage of a random utterance of a random conversation  0.8750 (standard error "
            "0.0312)\n"
            "  coverage over utterances                                 0.8600\n"
            "  classes in a set, mean                                   2.35\n"
            "  sets that are empty, of one class, of all                0.0100, 0.2500, 0.1250\n"
            "      class        coverage  by conversation mean size utterances\n"
            "        hap          0.5000           0.6250    1.5000          7\n"
            "a\\nnew line               -                -         -          0\n"
            "note: few conversations\n");
}

TEST(FormatRiskCoverageTest, MarksWhatWasAskedFor) {
  RiskCoverage curve = Parsed<RiskCoverage>(R"pb(
    confidence: "calibrated_confidence"
    points {
      threshold: 0
      answered: 4
      share_answered: 1
      accuracy { value: 0.75 }
    }
    points { threshold: 0.5 answered: 0 share_answered: 0 }
    aurc: 0.125
    e_aurc: 0.0625
  )pb");
  EXPECT_EQ(FormatRiskCoverage(curve),
            "abstain below (calibrated confidence)   answered     share  accuracy\n"
            "                                    0          4    1.0000    0.7500\n"
            "                                  0.5          0    0.0000         -\n"
            "AURC 0.1250, E-AURC 0.0625\n");
  *curve.mutable_asked() = Parsed<RiskCoveragePoint>(
      "threshold: 0.25 answered: 2 share_answered: 0.5 accuracy { value: 1 }");
  EXPECT_THAT(FormatRiskCoverage(curve),
              HasSubstr("4    1.0000    0.7500\n"
                        "                               0.25 *          2    0.5000    1.0000\n"
                        "                                  0.5 "));
  EXPECT_THAT(FormatRiskCoverage(curve), HasSubstr("; *: --abstain_below\n"));
  // A threshold of the curve itself is not said twice.
  curve.mutable_asked()->set_threshold(0.5);
  EXPECT_THAT(FormatRiskCoverage(curve), HasSubstr("0.5 *          0 "));
  EXPECT_THAT(FormatRiskCoverage(curve), Not(HasSubstr("    2    0.5")));
}

}  // namespace
}  // namespace cmerc
