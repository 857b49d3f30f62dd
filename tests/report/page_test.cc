// The page as a whole, and what it remarks on.
#include "report/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "report/markup.h"
#include "report/remarks.h"
#include "tests/report/sample_run.h"
#include "tests/report/xml.h"

namespace cmerc::report {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

TrainingRun SampleRun(const std::string& name = "sample") {
  const absl::StatusOr<TrainingRun> run = ReadRun(WriteSampleRun(name));
  EXPECT_TRUE(run.ok()) << run.status();
  TrainingRun sample = *run;
  sample.path = "runs/" + name;
  return sample;
}

// The same with a curriculum that has opened: nothing to remark on.
TrainingRun GoodRun() {
  TrainingRun run = SampleRun();
  for (CurriculumConversation& one : *run.curriculum->mutable_conversations()) {
    one.set_first_epoch(run.epochs.front().epoch());
  }
  return run;
}

XmlElement Parsed(const std::string& page) {
  const absl::StatusOr<XmlElement> root = ParseXml(page);
  EXPECT_TRUE(root.ok()) << root.status();
  return root.ok() ? *root : XmlElement();
}

std::vector<std::string> Texts(const XmlElement& root, const std::string& tag) {
  std::vector<std::string> texts;
  for (const XmlElement& element : FindAll(root, tag)) texts.push_back(element.text);
  return texts;
}

TEST(FormatPageTest, EverySectionOfARun) {
  const XmlElement page = Parsed(FormatPage({SampleRun()}));
  EXPECT_EQ(page.tag, "html");
  EXPECT_THAT(
      Texts(page, "h3"),
      ElementsAre("Before you trust the scores", "Scores of the selected epoch", "Learning",
                  "Can the confidences be trusted?", "Confidence without a source of evidence",
                  "Curriculum", "Class balance", "Time and memory"));
  EXPECT_THAT(
      Texts(page, "figcaption"),
      ElementsAre("Confusion, test split", "Confusion, test split, uncalibrated", "Weighted F1",
                  "Accuracy", "Loss: weighted sum", "Loss: Nll", "Loss: CalibrationRanking",
                  "ECE, valid", "all evidence: ECE 5.0 %", "after temperature scaling: ECE 4.0 %",
                  "without text: ECE 20.0 %", "without same speaker: ECE 10.0 %",
                  "all evidence: ECE 6.0 %", "without text: ECE 20.0 %",
                  "without same speaker: ECE 10.0 %", "True class: share surer without it",
                  "True class: mean rise of log-probability without it",
                  "Predicted class: share surer without it",
                  "Predicted class: mean rise of log-probability without it",
                  "When each conversation joins (up: difficulty)",
                  "Length and difficulty (up: difficulty)", "Conversations trained on",
                  "Share of each class", "Seconds per epoch"));
  EXPECT_THAT(Texts(page, "dd"),
              ElementsAre("HELD_OUT (the validation split selects the epoch)", "7",
                          "M3Net, 1234 parameters", "2 of 3", "cmerc 0.1; libtorch 1.13.1",
                          "cmerc train --config=runs/sample/config.textproto\n"));
  EXPECT_THAT(Texts(page, "pre"), ElementsAre("training { seed: 7 }  # <b> & co\n"));
  EXPECT_THAT(page.text, AllOf(HasSubstr("fear & <loathing>"), HasSubstr("Ses<3>"),
                               HasSubstr("1 are used in no epoch")));
}

TEST(FormatPageTest, WhatTheOptionsOfTheTrainerDid) {
  TrainingRun run = SampleRun();
  run.summary->mutable_selected_by()->set_value("macro F1");
  run.summary->mutable_stopped_early()->set_value(3);
  StartReport* const start = run.summary->mutable_start();
  start->set_checkpoint("runs/a/selected.pth");
  start->set_epoch(12);
  start->set_tensors(34);
  start->add_fresh("head.weight");
  for (EpochReport& epoch : run.epochs) epoch.mutable_learning_rate()->set_value(0.01);
  const XmlElement page = Parsed(FormatPage({run}));
  EXPECT_THAT(Texts(page, "dd"),
              testing::IsSupersetOf(
                  {"2 of 3, after which training stopped early; selected by macro F1",
                   "runs/a/selected.pth, epoch 12: 34 tensors; drawn from the seed: head.weight"}));
  EXPECT_THAT(Texts(page, "figcaption"), testing::Contains("Learning rate"));
  EXPECT_THAT(page.text, HasSubstr("which selects the epoch by macro F1"));
}

TEST(FormatPageTest, NeedsNothingElse) {
  const std::string text = FormatPage({SampleRun()});
  for (const char* outside : {"<script", "<link", "<img", "@import", "url(", "src=", "onload"}) {
    EXPECT_THAT(text, Not(HasSubstr(outside)));
  }
  const XmlElement page = Parsed(text);
  for (const XmlElement& link : FindAll(page, "a")) {
    EXPECT_THAT(link.attributes.at("href"), testing::StartsWith("#"));
  }
}

TEST(FormatPageTest, EveryPictureHasATitleAndADescription) {
  const XmlElement page = Parsed(FormatPage({SampleRun(), SampleRun("other")}));
  int pictures = 0;
  for (const XmlElement& svg : FindAll(page, "svg")) {
    if (svg.attributes.count("aria-hidden") > 0) continue;  // in a legend, whose text says it
    ++pictures;
    ASSERT_GE(svg.children.size(), 2u);
    EXPECT_EQ(svg.children[0].tag, "title");
    EXPECT_NE(svg.children[0].text, "");
    EXPECT_EQ(svg.children[1].tag, "desc");
    EXPECT_NE(svg.children[1].text, "");
  }
  EXPECT_EQ(pictures, static_cast<int>(FindAll(page, "figure").size()));
}

TEST(FormatPageTest, SeveralRunsAreComparedFirst) {
  const std::vector<TrainingRun> runs = {SampleRun("one"), SampleRun("two"),
                                         SampleRun("a <third> & run")};
  const XmlElement page = Parsed(FormatPage(runs));
  EXPECT_THAT(Texts(page, "h2"), ElementsAre("Comparison", "Run 1: runs/one", "Run 2: runs/two",
                                             "Run 3: runs/a <third> & run"));
  std::set<std::string> ids;
  for (const XmlElement& section : FindAll(page, "section")) {
    EXPECT_TRUE(ids.insert(section.attributes.at("id")).second) << section.attributes.at("id");
  }
  EXPECT_EQ(FindAll(page, "a").size(), 3u);
  for (const XmlElement& link : FindAll(page, "a")) {
    EXPECT_EQ(ids.count(link.attributes.at("href").substr(1)), 1u);
  }
  // A row for each run and each uncalibrated model.
  const XmlElement table = FindAll(FindAll(page, "section")[0], "table")[0];
  EXPECT_EQ(FindAll(table, "tr").size(), 7u);
  EXPECT_THAT(page.text, HasSubstr("--config='runs/a <third> & run/config.textproto'"));
}

// A window of 1200 pixels has this much beside the page's own padding.
constexpr double kPageWidth = 1200 - 32;

// Whatever the names of runs, plugins, classes and views are. Tables of pictures are within these,
// and scroll there.
TEST(FormatPageTest, NoTableIsWiderThanThePage) {
  const std::string name(200, 'W');
  TrainingRun run = SampleRun(std::string(60, 'r'));
  run.path = "runs/" + name;
  run.summary->set_backbone(name);
  run.summary->set_seed(18446744073709551615U);
  SplitReport& test = *run.summary->mutable_test();
  test.mutable_classes(0)->set_name(name);
  test.mutable_calibration()->mutable_ece_error()->set_value(0.1);
  test.mutable_calibration()->mutable_ece_floor()->set_value(0.1);
  while (test.views_size() < 5) *test.add_views() = test.views(1);
  test.mutable_views(0)->set_view(name);
  run.timing[0].mutable_slowest_step()->set_conversations(0, name);
  run.curriculum->mutable_conversations(2)->set_conversation(name);
  TrainingRun other = run;
  other.path += "2";
  XmlElement page = Parsed(FormatPage({run, other}));
  int tables = 0;
  const std::function<void(const XmlElement&)> look = [&](const XmlElement& element) {
    if (element.tag == "figure") return;
    if (element.tag == "table") {
      ++tables;
      EXPECT_LE(LeastWidth(element), kPageWidth) << element.text.substr(0, 200);
    }
    for (const XmlElement& child : element.children) look(child);
  };
  look(page);
  EXPECT_EQ(tables, 1 + 2 * 7);
  EXPECT_EQ(FindAll(page, "div", "scroll").size(), FindAll(page, "table").size());
  const std::string style = FindAll(page, "style")[0].text;
  for (const char* rule :
       {".scroll { overflow-x: auto; max-width: 100%; }",
        ".long { white-space: normal; min-width: 7rem;", "th, td { padding: 0.25rem 0.5rem;",
        "@media screen and (min-width: 60rem) {\n  th, td { white-space: normal; }"}) {
    EXPECT_THAT(style, HasSubstr(rule));
  }
}

TEST(FormatPageTest, EqualRunsGiveEqualBytes) {
  EXPECT_EQ(FormatPage({SampleRun(), SampleRun("b")}), FormatPage({SampleRun(), SampleRun("b")}));
}

// A run of an older version or of another protocol, or one that has not finished, lacks some files
// or fields.
TEST(FormatPageTest, LeavesOutWhatARunLacks) {
  TrainingRun run = SampleRun();
  run.uncalibrated_epochs.clear();
  for (EpochReport& epoch : run.epochs) epoch.mutable_valid()->clear_calibration();
  run.timing.clear();
  run.curriculum.reset();
  run.summary->clear_uncalibrated();
  run.summary->clear_train();
  run.summary->clear_valid();
  SplitReport& test = *run.summary->mutable_test();
  test.clear_calibration();
  test.clear_post_hoc();
  test.clear_views();
  EXPECT_THAT(Texts(Parsed(FormatPage({run})), "h3"),
              ElementsAre("Scores of the selected epoch", "Learning", "Class balance"));
  test.Clear();
  EXPECT_THAT(Texts(Parsed(FormatPage({run})), "h3"),
              ElementsAre("Scores of the selected epoch", "Learning"));
  run.summary.reset();
  const XmlElement page = Parsed(FormatPage({run, SampleRun()}));
  EXPECT_THAT(page.text, HasSubstr("The run has not finished: there is no summary.json; 3 epochs"));
  EXPECT_THAT(page.text, HasSubstr("not finished"));
}

TEST(FormatPageTest, UtterancesWithoutALabelAreCounted) {
  TrainingRun run = GoodRun();
  EXPECT_THAT(Remarks(run), Not(testing::Contains(HasSubstr("have no label"))));
  run.summary->mutable_train()->mutable_unlabelled_utterances()->set_value(7);
  run.summary->mutable_test()->mutable_unlabelled_utterances()->set_value(2);
  run.summary->mutable_steps_without_labels()->set_value(3);
  EXPECT_THAT(
      Remarks(run),
      testing::Contains(HasSubstr(
          "Some utterances have no label, are context alone, and in no score: train 7 of 12, "
          "test 2 of 7. 3 steps were not taken, since none of their utterances has one.")));
  EXPECT_THAT(Texts(Parsed(FormatPage({run})), "td"),
              testing::IsSupersetOf({"5 + 7 unlabelled", "5 + 2 unlabelled"}));
}

TEST(FormatPageTest, WithoutATestSplitTheScoresAreThoseOfTheValidationSplit) {
  TrainingRun run = SampleRun();
  for (RunSummary* summary : {&*run.summary, run.summary->mutable_uncalibrated()}) {
    summary->clear_test();
  }
  run.summary->add_warnings("the dataset has no test split");
  const XmlElement page = Parsed(FormatPage({run}));
  EXPECT_THAT(Texts(page, "h3"),
              ElementsAre("Before you trust the scores", "Scores of the selected epoch", "Learning",
                          "Curriculum", "Class balance", "Time and memory"));
  EXPECT_THAT(Texts(page, "h4"), testing::Contains("Classes of the validation split"));
  EXPECT_THAT(Texts(page, "figcaption"),
              testing::IsSupersetOf(
                  {"Confusion, validation split", "Confusion, validation split, uncalibrated"}));
  EXPECT_THAT(Remarks(run), testing::Contains("Warning: the dataset has no test split."));
  EXPECT_THAT(Texts(page, "td"), Not(testing::Contains("test")));
  // Beside another run its test scores are missing, not 0.
  const XmlElement both = Parsed(FormatPage({run, SampleRun()}));
  EXPECT_THAT(Texts(both, "td"), testing::Contains("-").Times(testing::Ge(4)));
}

TEST(FormatPageTest, NumbersThatAreNotFiniteStayOutOfThePictures) {
  TrainingRun run = SampleRun();
  run.epochs[1].set_total_loss(std::nan(""));
  run.summary->mutable_test()->mutable_views(0)->set_mean_log_prob_rise(-INFINITY);
  const std::string text = FormatPage({run});
  Parsed(text);
  EXPECT_THAT(text, Not(testing::ContainsRegex("=\"[^\"]*(nan|inf)[^a-z]")));
}

TEST(FormatPageTest, OfManyClassesTheLargestConfusionsAlone) {
  TrainingRun run = SampleRun();
  SplitReport& test = *run.summary->mutable_test();
  test.clear_confusion();
  for (int c = test.classes_size(); c < 150; ++c) {
    ClassReport* one = test.add_classes();
    one->set_name(absl::StrCat("class ", c));
    one->set_support(4);
    ConfusionCount* count = test.mutable_sparse_confusion()->add_counts();
    count->set_label(c);
    count->set_predicted(c == 149 ? 1 : 0);
    count->set_utterances(c == 149 ? 3 : 1);
  }
  const std::string text = FormatPage({run});
  const XmlElement page = Parsed(text);
  EXPECT_THAT(text, HasSubstr("<figcaption>Confusion, test split: the largest</figcaption>"));
  EXPECT_THAT(text, HasSubstr(absl::StrCat(
                        "<th scope=\"row\">class 149</th>\n<td class=\"long name\">",
                        EscapeXml(test.classes(1).name()), "</td>\n<td>3</td>\n<td>75.0 %</td>")));
  EXPECT_THAT(text, Not(HasSubstr("class 52</th>\n<td class=\"long name\">" +
                                  EscapeXml(test.classes(0).name()))));
  EXPECT_THAT(page.text, HasSubstr("class 2, class 3, class 4"));
  EXPECT_THAT(page.text, HasSubstr(" and 128 more."));
}

TEST(RemarksTest, NoneOnAGoodRun) { EXPECT_THAT(Remarks(GoodRun()), IsEmpty()); }

TEST(RemarksTest, WorseThanUncalibrated) {
  TrainingRun run = GoodRun();
  run.summary->mutable_test()->set_weighted_f1(0.17);
  run.summary->mutable_valid()->set_weighted_f1(0.17);
  run.summary->mutable_uncalibrated()->mutable_test()->set_weighted_f1(0.54);
  EXPECT_THAT(Remarks(run), ElementsAre("Worse than uncalibrated: weighted F1 on the test split "
                                        "fell from 54.0 % (uncalibrated) to 17.0 %."));
  // A point is no more than another seed makes.
  run.summary->mutable_test()->set_weighted_f1(0.535);
  run.summary->mutable_valid()->set_weighted_f1(0.535);
  EXPECT_THAT(Remarks(run), IsEmpty());
}

TEST(RemarksTest, ConversationsThatNoEpochUsed) {
  TrainingRun run = GoodRun();
  run.epochs[0].set_conversations(1);
  run.epochs[1].set_conversations(2);
  run.epochs[2].set_conversations(2);
  CurriculumConversation* last = run.curriculum->mutable_conversations(2);
  last->set_first_epoch(-1);
  EXPECT_THAT(Remarks(run), ElementsAre(HasSubstr("No epoch trained on 1 of the 3 training "
                                                  "conversations: the curriculum had not opened")));
  // It never opened any farther than in the first epoch.
  run.epochs[0].set_conversations(2);
  EXPECT_THAT(Remarks(run), ElementsAre(HasSubstr(
                                "The curriculum has not opened: every epoch trained on the same "
                                "2 of 3 training conversations, and none on the other 1.")));
  // Opened only after the epoch that was selected.
  last->set_first_epoch(run.epochs[2].epoch());
  EXPECT_THAT(Remarks(run),
              ElementsAre("The selected epoch comes before the curriculum has opened: its weights "
                          "have seen 2 of the 3 training conversations."));
  run.summary->set_selected_epoch(run.epochs[2].epoch());
  EXPECT_THAT(Remarks(run), ElementsAre(HasSubstr("The last epoch was selected")));
}

TEST(RemarksTest, SaysWhatIsWrongWithTheScores) {
  TrainingRun run = GoodRun();
  run.summary->set_protocol("OFFICIAL (trains on train + valid; the test set selects the epoch)");
  run.summary->set_selected_epoch(3);
  SplitReport& test = *run.summary->mutable_test();
  test.mutable_confusion(1)->set_predicted(1, 0);
  test.set_weighted_f1(0.5);
  test.mutable_calibration()->set_ece(0.09);
  test.mutable_calibration()->mutable_ece_error()->set_value(0.01);
  run.summary->mutable_uncalibrated()
      ->mutable_test()
      ->mutable_calibration()
      ->mutable_ece_error()
      ->set_value(0.01);
  run.summary->add_warnings("the remedy vector is withheld");
  test.mutable_views(0)->set_share_surer_without(0.9);
  run.summary->mutable_valid()->mutable_classes(0)->set_support(0);
  EXPECT_THAT(
      Remarks(run),
      UnorderedElementsAre(
          HasSubstr("the test set selected the epoch, so the test scores are optimistic"),
          HasSubstr("The last epoch was selected"),
          "Never predicted on the test split: fear & <loathing>.",
          HasSubstr("79.0 % on the validation and 50.0 % on the test split"),
          "The expected calibration error rose from 6.00 ± 1.00 % (uncalibrated) to 9.00 ± "
          "1.00 %.",
          "Warning: the remedy vector is withheld.",
          HasSubstr("mean over sources, rose from 40.0 % (uncalibrated) to 55.0 %"),
          HasSubstr("Worse than uncalibrated: weighted F1 on the test split fell from 79.0"),
          "The validation split has no utterance of: joy."));
  EXPECT_THAT(Texts(Parsed(FormatPage({run})), "li"), testing::SizeIs(9));
}

// Two standard errors of a difference of two numbers with an error of 1 % each are 2.83 %.
TEST(RemarksTest, AnEceThatRoseByNoMoreThanNoise) {
  TrainingRun run = GoodRun();
  SplitReport& with = *run.summary->mutable_test();
  SplitReport& without = *run.summary->mutable_uncalibrated()->mutable_test();
  with.mutable_calibration()->set_ece(without.calibration().ece() + 0.03);
  // A run of an earlier version does not say how large the noise is.
  EXPECT_THAT(Remarks(run), IsEmpty());
  with.mutable_calibration()->mutable_ece_error()->set_value(0.01);
  without.mutable_calibration()->mutable_ece_error()->set_value(0.01);
  EXPECT_THAT(Remarks(run), ElementsAre(HasSubstr("calibration error rose")));
  with.mutable_calibration()->set_ece(without.calibration().ece() + 0.028);
  EXPECT_THAT(Remarks(run), IsEmpty());
}

TEST(FormatPageTest, AnEceIsShownWithItsErrorAndItsFloor) {
  TrainingRun run = SampleRun();
  CalibrationReport& calibration = *run.summary->mutable_test()->mutable_calibration();
  EXPECT_THAT(Parsed(FormatPage({run})).text, Not(HasSubstr("floor")));
  calibration.mutable_ece_error()->set_value(0.008);
  calibration.mutable_ece_floor()->set_value(0.028);
  const XmlElement page = Parsed(FormatPage({run, run}));
  EXPECT_THAT(Texts(page, "figcaption"),
              testing::Contains("all evidence: ECE 5.0 % ± 0.8 % (floor 2.8 %)"));
  // Comparison, scores, measures and remedies.
  const std::vector<std::string> cells = Texts(page, "td");
  EXPECT_EQ(std::count(cells.begin(), cells.end(), "5.0 % ± 0.8 % (floor 2.8 %)"), 2 + 2 * 3);
}

TEST(RemarksTest, FivePointsBetweenValidAndTestAreNotFar) {
  TrainingRun run = GoodRun();
  run.summary->mutable_test()->set_weighted_f1(0.75);
  run.summary->mutable_uncalibrated()->mutable_test()->set_weighted_f1(0.75);
  EXPECT_THAT(Remarks(run), IsEmpty());
}

TEST(ComparisonRemarksTest, WhatMayNotBeCompared) {
  const TrainingRun one = SampleRun();
  TrainingRun other = SampleRun();
  EXPECT_THAT(ComparisonRemarks({one, other}), IsEmpty());
  other.summary->set_protocol("OFFICIAL (...)");
  EXPECT_THAT(ComparisonRemarks({one, other}), ElementsAre(HasSubstr("The protocols differ")));
  other = one;
  other.summary->mutable_test()->mutable_classes(0)->set_support(4);
  EXPECT_THAT(ComparisonRemarks({one, other}), ElementsAre(HasSubstr("The test splits differ")));
}

TEST(CheckSameClassesTest, RunsOfOtherClassesAreRefused) {
  const TrainingRun one = SampleRun("one");
  TrainingRun other = SampleRun("other");
  EXPECT_TRUE(CheckSameClasses({one}).ok());
  EXPECT_TRUE(CheckSameClasses({one, other}).ok());
  other.summary->mutable_test()->mutable_classes(1)->set_name("anger");
  absl::Status status = CheckSameClasses({one, one, other});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "runs/other has the class \"anger\" where runs/one has \"fear & <loathing>\": their "
            "scores are not of the same task; write a report of each");
  other.summary->mutable_test()->mutable_classes()->RemoveLast();
  EXPECT_THAT(std::string(CheckSameClasses({one, other}).message()),
              HasSubstr("runs/other has 1 classes, and runs/one 2: their scores"));
  // A run that has not finished is looked at as far as it has got.
  other.summary.reset();
  EXPECT_TRUE(CheckSameClasses({one, other}).ok());
  other.epochs.back().mutable_valid()->mutable_classes(0)->set_name("rage");
  EXPECT_FALSE(CheckSameClasses({other, one}).ok());
  other.epochs.back().mutable_valid()->clear_classes();
  EXPECT_TRUE(CheckSameClasses({other, one}).ok());
}

}  // namespace
}  // namespace cmerc::report
