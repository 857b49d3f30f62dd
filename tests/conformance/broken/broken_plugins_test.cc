// Runs each suite over plugins with one defect each, in a program of its own, and reads which laws
// failed, with which message.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace cmerc::conformance {
namespace {

// What one run of a suite said.
struct SuiteResult {
  int exit_status = -1;
  std::map<std::string, std::set<std::string>> tested;  // case name -> laws
  // case name -> law -> the messages of the failure
  std::map<std::string, std::map<std::string, std::string>> failed;
  std::string output;
};

// "Registered/LossLaws.IsFinite/cmercNll" -> ("IsFinite", "cmercNll").
std::pair<std::string, std::string> LawAndCase(const std::string& test) {
  const std::string after_suite = test.substr(test.find('.') + 1);
  const std::vector<std::string> parts = absl::StrSplit(after_suite, '/');
  return {parts[0], parts.size() > 1 ? parts[1] : ""};
}

SuiteResult RunSuite(const std::string& kind) {
  SuiteResult result;
  // The suite must not write over this test's own log, nor take a shard of its tests.
  const std::string command = absl::StrCat(
      "env -u XML_OUTPUT_FILE -u GTEST_OUTPUT -u TESTBRIDGE_TEST_ONLY -u GTEST_FILTER "
      "-u TEST_PREMATURE_EXIT_FILE -u TEST_TOTAL_SHARDS -u TEST_SHARD_INDEX -u "
      "TEST_SHARD_STATUS_FILE "
      "tests/conformance/broken/broken_",
      kind, "_suite --gtest_color=no 2>&1");
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  for (size_t n = 0; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    result.output.append(buffer, n);
  }
  const int status = pclose(pipe);
  result.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  std::string message;
  bool running = false;
  for (absl::string_view line : absl::StrSplit(result.output, '\n')) {
    if (absl::ConsumePrefix(&line, "[ RUN      ] ")) {
      const auto [law, name] = LawAndCase(std::string(line));
      result.tested[name].insert(law);
      message.clear();
      running = true;
    } else if (running && absl::ConsumePrefix(&line, "[  FAILED  ] ")) {
      const std::vector<std::string> parts = absl::StrSplit(line, ',');
      const auto [law, name] = LawAndCase(parts[0]);
      result.failed[name][law] = message;
      running = false;
    } else if (absl::StartsWith(line, "[       OK ]")) {
      running = false;
    } else if (running) {
      absl::StrAppend(&message, line, "\n");
    }
  }
  return result;
}

const SuiteResult& ResultOf(const std::string& kind) {
  static auto* results = new std::map<std::string, SuiteResult>;
  auto place = results->find(kind);
  if (place == results->end()) place = results->emplace(kind, RunSuite(kind)).first;
  return place->second;
}

struct Expectation {
  std::string kind;     // "backbone"
  std::string defect;   // a value of its Defect
  std::string law;      // the law that names the defect
  std::string message;  // part of what it says
  // Laws that may fail with it, since they compare predictions that the defect has spoiled.
  std::set<std::string> others = {};
};

void PrintTo(const Expectation& expectation, std::ostream* out) {
  *out << expectation.kind << " with " << expectation.defect;
}

// The name of a defect's case in its suite; that of the plugin without one for "".
std::string CaseOf(const std::string& kind, const std::string& defect) {
  std::string type;
  for (const absl::string_view word : absl::StrSplit(kind, '_')) {
    absl::StrAppend(&type, std::string(1, absl::ascii_toupper(word[0])), word.substr(1));
  }
  std::string letters;
  for (const char c : defect) {
    if (c != '_') letters += c;
  }
  return absl::StrCat("cmercBroken", type, "Options", defect.empty() ? "" : "defect", letters);
}

const std::vector<Expectation>& Expectations() {
  static const auto* expectations = new std::vector<Expectation>{
      {"backbone",
       "LOGITS",
       "EveryRowIsADistribution",
       "rows do not sum to 1",
       {"ConversationsOfAllKindsWork", "OneModalityOrFiveWork",
        "TakesAStepWithEveryLossAndEveryView", "CalibratingWithWeightZeroCostsNothing"}},
      {"backbone",
       "COUNTS_PADDING",
       "PaddingDoesNotMatter",
       "log_probs",
       {"BatchMatesAndTheirOrderDoNotMatter", "PaddingDoesNotMatterInTraining",
        "AConversationThatGoesOnGetsTheAnswersOfItsBeginning"}},
      {"backbone", "NORMALIZES_PADDING", "PaddingDoesNotMatterInTraining", "norm.running_mean"},
      {"backbone",
       "SEES_BATCH_MATES",
       "BatchMatesAndTheirOrderDoNotMatter",
       "a conversation of 3",
       // What all of a batch lack goes with its mean.
       {"EvidenceFlagsShowWhatIsMissing", "LaterUtterancesChangeNoEarlierBit",
        "AConversationThatGoesOnGetsTheAnswersOfItsBeginning"}},
      {"backbone", "READS_LABELS", "LabelsAreNotEvidence", "log_probs differ by"},
      {"backbone",
       "IGNORES_CONTEXT",
       "ContextIsUsedAsDeclared",
       "cutting context changes nothing",
       {"LaterUtterancesChangeNoEarlierBit",
        "AConversationThatGoesOnGetsTheAnswersOfItsBeginning"}},
      {"backbone",
       "LEAKS_ACROSS_CONTEXT",
       "ContextIsUsedAsDeclared",
       "utterances outside the context have an influence",
       {"LaterUtterancesChangeNoEarlierBit",
        "AConversationThatGoesOnGetsTheAnswersOfItsBeginning"}},
      {"backbone",
       "SEES_THE_FUTURE",
       "LaterUtterancesChangeNoEarlierBit",
       "log_probs differ by",
       {"AConversationThatGoesOnGetsTheAnswersOfItsBeginning"}},
      {"backbone", "KNOWS_THE_LENGTH", "AConversationThatGoesOnGetsTheAnswersOfItsBeginning",
       "log_probs"},
      {"backbone", "FORGETS", "ContinuingIsPredictingTheWhole", "utterance 1"},
      {"backbone",
       "DROPOUT_IN_EVALUATION",
       "EvaluationRepeatsExactlyAndLeavesNoTrace",
       "log_probs differ by",
       {"ForwardAllIsForwardOfEach", "TensorsThatShareMemoryCountLikeCopies",
        "AMaskedModalityLeavesOnlyItsMean", "BatchMatesAndTheirOrderDoNotMatter",
        "PaddingDoesNotMatter", "ACheckpointBringsBackTheSameBits",
        "LaterUtterancesChangeNoEarlierBit",
        "AConversationThatGoesOnGetsTheAnswersOfItsBeginning"}},
      {"backbone", "DEAD_PARAMETER", "AGradientReachesEveryParameter", "dead has no gradient"},
      {"backbone",
       "DETACHED",
       "AGradientReachesEveryParameter",
       "own.weight has no gradient",
       // Losses of the features have nothing to pull at.
       {"TakesAStepWithEveryLossAndEveryView", "PairedViewsTeachEvidenceFlags"}},
      {"backbone", "REVERSED_GRADIENT", "LearnsThreeConversationsByHeart", "steps the loss is"},
      {"backbone", "UNREGISTERED_TENSOR", "ACheckpointBringsBackTheSameBits",
       "log_probs differ by"},
      {"backbone",
       "WRONG_INFO",
       "BadBatchesAreInvalidArguments",
       "a class too many",
       // Losses are made for the classes of the data.
       {"TakesAStepWithEveryLossAndEveryView", "WithoutDropoutAStepInPartsIsThatOfTheWholeBatch",
        "AnyNumberOfProcessesTakesTheSameStep"}},
      {"backbone",
       "REMEMBERS_BATCHES",
       "EvaluationRepeatsExactlyAndLeavesNoTrace",
       "log_probs differ by",
       {"LabelsAreNotEvidence", "ForwardAllIsForwardOfEach",
        "TensorsThatShareMemoryCountLikeCopies", "AMaskedModalityLeavesOnlyItsMean",
        "BatchMatesAndTheirOrderDoNotMatter", "PaddingDoesNotMatter",
        "ACheckpointBringsBackTheSameBits", "LearnsThreeConversationsByHeart",
        "AViewThatRemovesNothingIsTheFullPredictionWhereTheyArePaired",
        "PairedViewsLeaveWhatTheFullPredictionLeaves", "LaterUtterancesChangeNoEarlierBit",
        "AConversationThatGoesOnGetsTheAnswersOfItsBeginning"}},
      {"backbone",
       "FAILS_ON_ONE_UTTERANCE",
       "ConversationsOfAllKindsWork",
       "one utterance",
       {"BatchMatesAndTheirOrderDoNotMatter", "TakesAStepOnOneUtterance",
        "WithoutDropoutAStepInPartsIsThatOfTheWholeBatch", "AnyNumberOfProcessesTakesTheSameStep"}},
      {"backbone", "HUNDRED_UTTERANCES", "ConversationsOfAllKindsWork", "500 utterances"},
      {"backbone", "NINE_SPEAKERS", "ConversationsOfAllKindsWork", "30 speakers"},
      {"backbone", "THREE_MODALITIES", "OneModalityOrFiveWork", "three modalities, please"},
      {"backbone",
       "WRITES_TO_THE_BATCH",
       "LeavesTheBatchAsItWas",
       "text",
       {"EvaluationRepeatsExactlyAndLeavesNoTrace", "LabelsAreNotEvidence",
        "ForwardAllIsForwardOfEach", "TensorsThatShareMemoryCountLikeCopies",
        "PaddingDoesNotMatter", "ACheckpointBringsBackTheSameBits",
        "AViewThatRemovesNothingIsTheFullPredictionWhereTheyArePaired",
        "PairedViewsLeaveWhatTheFullPredictionLeaves",
        "PairedViewsAreThoseOfPassesOneAfterTheOther",
        "EvidenceFlagsChangeNothingWhereNothingIsMissing"}},
      {"backbone", "NEEDS_CONTIGUOUS_FEATURES", "TensorsThatShareMemoryCountLikeCopies",
       "view size is not compatible"},
      {"backbone", "MIXES_UP_BATCHES", "ForwardAllIsForwardOfEach", "batch 1"},
      {"backbone",
       "OWN_SEED",
       "TheSeedOfLibTorchDecidesTheWeights",
       "head.bias is not drawn from the seed",
       {"PaddingDoesNotMatterInTraining", "CalibratingWithWeightZeroCostsNothing",
        "PairedViewsLeaveWhatTheFullPredictionLeaves",
        "EvidenceFlagsChangeNothingWhereNothingIsMissing",
        "WithoutDropoutAStepInPartsIsThatOfTheWholeBatch", "AnyNumberOfProcessesTakesTheSameStep"}},
      {"backbone",
       "DROPS_A_MODALITY",
       "AMaskedModalityLeavesOnlyItsMean",
       "the modality makes no difference",
       {"PairedViewsTeachEvidenceFlags"}},
      {"backbone", "DIVIDES_BY_ZERO", "EveryRowIsADistribution", "features that are all 0"},
      {"backbone", "DRAWS_BY_CONTEXT", "PairedViewsLeaveWhatTheFullPredictionLeaves",
       "draws other random numbers without same_speaker"},
      {"backbone",
       "ALTERNATES",
       "AViewThatRemovesNothingIsTheFullPredictionWhereTheyArePaired",
       "log_probs differ by",
       {"WithoutDropoutAStepInPartsIsThatOfTheWholeBatch", "AnyNumberOfProcessesTakesTheSameStep"}},
      {"backbone",
       "MASKS_OF_ITS_OWN",
       "PairedViewsAreThoseOfPassesOneAfterTheOther",
       "log_probs",
       {"PairedViewsLeaveWhatTheFullPredictionLeaves"}},
      {"backbone",
       "DETACHES_VIEWS",
       "PairedViewsAreThoseOfPassesOneAfterTheOther",
       "the gradient of own.weight",
       {"PairedViewsTeachEvidenceFlags"}},
      {"backbone", "COUNTS_CONVERSATIONS", "WithoutDropoutAStepInPartsIsThatOfTheWholeBatch",
       "own.weight"},
      {"backbone",
       "COUNTS_PASSES",
       "AnyNumberOfProcessesTakesTheSameStep",
       "own.weight",
       {"AViewThatRemovesNothingIsTheFullPredictionWhereTheyArePaired",
        "PairedViewsLeaveWhatTheFullPredictionLeaves"}},
      {"backbone", "COUNTS_ITS_MODULES", "EvidenceFlagsChangeNothingWhereNothingIsMissing",
       "log_probs differ by"},
      {"backbone",
       "CENTERS_FEATURES",
       "EvidenceFlagsShowWhatIsMissing",
       "what lacks in every utterance makes no difference",
       {"PairedViewsTeachEvidenceFlags", "LaterUtterancesChangeNoEarlierBit",
        "AConversationThatGoesOnGetsTheAnswersOfItsBeginning"}},
      {"backbone", "REUSES_EQUAL_FEATURES", "PairedViewsTeachEvidenceFlags",
       "no evidence flag has a gradient from the view without source"},
      {"backbone", "REFUSES_LARGE_FEATURES", "FeaturesThatOverflowInsideSpoilNothing",
       "no features as large as this"},

      {"loss",
       "NO_SCALAR",
       "IsAFiniteScalarWithAFiniteGradient",
       "want a scalar",
       {"IsFiniteWhereTheModelIsCertain", "IsFiniteForFeaturesOfLengthZeroAndForEqualOnes",
        "DoesNotDependOnTheOrderOfUtterances", "WorksWithTheViewsThatTheDataHas"}},
      {"loss", "INFINITE_FOR_ONE_UTTERANCE", "IsAFiniteScalarWithAFiniteGradient", "1 utterances"},
      {"loss", "DEPENDS_ON_THE_ORDER", "DoesNotDependOnTheOrderOfUtterances",
       "The difference between permuted and loss"},
      {"loss",
       "NO_GRADIENT",
       "IsAFiniteScalarWithAFiniteGradient",
       "loss.requires_grad()",
       {"IsFiniteWhereTheModelIsCertain", "IsFiniteForFeaturesOfLengthZeroAndForEqualOnes",
        "GradientIsTheSlope"}},
      {"loss", "WRONG_GRADIENT", "GradientIsTheSlope", "gradient.view(-1)[i]"},
      {"loss", "ASKS_TWICE", "AsksForEachViewOnceAndNamesTheOneThatIsMissing",
       "asks more than once for the view text"},
      {"loss", "NAN_FOR_FEATURES_OF_LENGTH_ZERO", "IsFiniteForFeaturesOfLengthZeroAndForEqualOnes",
       "isfinite"},
      {"loss", "NAN_WHERE_CERTAIN", "IsFiniteWhereTheModelIsCertain", "isfinite"},
      {"loss", "NEEDS_AUDIO", "WorksWithTheViewsThatTheDataHas",
       "no prediction for the view \"audio\""},
      {"loss", "OF_ONE_VIEW_ASKS_TWICE", "OfOneViewItNeedsThatAlone", "alone->views()"},
      {"loss", "COUNTS_ITS_CALLS", "RemembersStepsAloneAndAllOfItIsItsState", "calls"},
      {"loss",
       "WRITES_TO_ITS_INPUT",
       "LeavesItsInputAsItWas",
       "torch::equal",
       {"IsAFiniteScalarWithAFiniteGradient", "IsFiniteWhereTheModelIsCertain",
        "IsFiniteForFeaturesOfLengthZeroAndForEqualOnes", "DoesNotDependOnTheOrderOfUtterances",
        "GradientIsTheSlope"}},

      {"scheduler",
       "NOT_ASCENDING",
       "SelectsAscendingIndicesWithoutRepeatsAndNeverNone",
       "adjacent_find",
       {"SelectsEverythingFromSomeEpochOn"}},
      {"scheduler", "NONE_AT_FIRST", "SelectsAscendingIndicesWithoutRepeatsAndNeverNone",
       "epoch 0 of 1 conversations"},
      {"scheduler", "NOT_NESTED", "EachEpochContainsTheOneBefore", "epoch 1"},
      {"scheduler", "NEVER_EVERYTHING", "SelectsEverythingFromSomeEpochOn", "all"},
      {"scheduler", "DENIES_ITS_NEED", "IgnoresDifficultiesThatItDoesNotNeed", "epoch 0"},
      {"scheduler", "SOMETHING_FROM_NOTHING", "SelectsNothingFromNothing", "empty()"},
      {"scheduler",
       "COUNTS_ITS_CALLS",
       "SelectsTheSameAgain",
       "epoch 3",
       {"SelectsEverythingFromSomeEpochOn"}},

      {"learning_rate", "FALLS_BELOW_ZERO", "EveryFactorIsFiniteAndNotBelowZero",
       "in epoch 0 of 1"},
      {"learning_rate",
       "NAN_IN_A_SHORT_RUN",
       "EveryFactorIsFiniteAndNotBelowZero",
       "nan in epoch 0 of 1",
       {"SomeStepOfEveryRunMoves"}},
      {"learning_rate", "NEVER_MOVES", "SomeStepOfEveryRunMoves", "a run of 1 epochs"},
      {"learning_rate", "COUNTS_ITS_CALLS", "TheFactorDependsOnThePlaceAlone", "asked again"},

      {"dataset", "LABEL_OUT_OF_RANGE", "ConversationsFitTheInfo", "batch.labels holds 2"},
      {"dataset", "SPEAKER_OUT_OF_RANGE", "ConversationsFitTheInfo", "batch.speakers holds 2"},
      {"dataset",
       "NAN_FEATURE",
       "ConversationsFitTheInfo",
       "text is not finite",
       // NaN is not equal to itself.
       {"GivesTheSameConversationsAgain"}},
      {"dataset", "WRONG_WIDTH", "ConversationsFitTheInfo", "stream.sizes()"},
      {"dataset", "WRONG_DTYPE", "ConversationsFitTheInfo", "stream.scalar_type()"},
      {"dataset", "SPLITS_OVERLAP", "SplitsAreDisjointAndTrainAndValidIsTheirUnion",
       "conversation 0 is in two splits"},
      {"dataset", "UNION_INCOMPLETE", "SplitsAreDisjointAndTrainAndValidIsTheirUnion",
       "kTrainAndValid"},
      {"dataset", "COUNTS_ALL_SPLITS", "ClassCountsAreThoseOfTheTrainingSplit", "class_counts"},
      {"dataset", "REPEATS_AN_ID", "ConversationsFitTheInfo", "its id is another's"},
      {"dataset", "OTHER_FEATURES_EACH_TIME", "GivesTheSameConversationsAgain", "conversation 0"},
      {"dataset", "REPEATS_A_MODALITY", "InfoIsComplete", "two modalities are text"},
      {"dataset", "REPEATS_A_SPEAKER", "SpeakersHaveOneNameEachOrNone", "speaker_names"},
      {"dataset", "FEATURES_OF_WHAT_IS_MISSING", "WhatIsMissingIsZero", "audio"},
  };
  return *expectations;
}

class DefectTest : public testing::TestWithParam<Expectation> {};

TEST_P(DefectTest, FailsForTheRightReason) {
  const Expectation& want = GetParam();
  const SuiteResult& suite = ResultOf(want.kind);
  const auto found = suite.failed.find(CaseOf(want.kind, want.defect));
  ASSERT_NE(found, suite.failed.end()) << "the suite accepts it\n" << suite.output;
  const std::map<std::string, std::string>& failed = found->second;
  const auto message = failed.find(want.law);
  ASSERT_NE(message, failed.end())
      << want.law << " holds; the first that fails is " << failed.begin()->first << ":\n"
      << failed.begin()->second;
  EXPECT_TRUE(absl::StrContains(message->second, want.message)) << message->second;
  for (const auto& [law, other] : failed) {
    EXPECT_TRUE(law == want.law || want.others.count(law) > 0) << law << " fails too:\n" << other;
  }
}

INSTANTIATE_TEST_SUITE_P(Defects, DefectTest, testing::ValuesIn(Expectations()),
                         [](const auto& info) {
                           std::string name = info.param.kind;
                           for (const char c : info.param.defect) {
                             if (c != '_') name += c;
                           }
                           return name;
                         });

// A plugin's options must be refused for the first; the others follow from Backbone::Forward(),
// Loss::Compute() and the trainer unless those are changed. What breaks TakesAStepOnOneUtterance
// breaks ConversationsOfAllKindsWork.
const std::set<std::string> kWithoutDefect = {
    "TakesItsOptionsAsTheyAre", "TakesAStepWithEveryLossAndEveryView",
    "CalibratingWithWeightZeroCostsNothing", "RefusesABatchWithoutUtterances",
    "TakesAStepOnOneUtterance"};

class BrokenSuiteTest : public testing::TestWithParam<std::string> {};

// So that a defect, and not the plugin around it, is what fails.
TEST_P(BrokenSuiteTest, AcceptsThePluginWithoutADefect) {
  const SuiteResult& suite = ResultOf(GetParam());
  EXPECT_EQ(suite.exit_status, 1) << suite.output;
  const std::string sound = CaseOf(GetParam(), "");
  ASSERT_EQ(suite.tested.count(sound), 1) << suite.output;
  EXPECT_EQ(suite.failed.count(sound), 0);
}

// No defect without an expectation, and no law that none of them breaks.
TEST_P(BrokenSuiteTest, EveryDefectIsExpectedAndEveryLawIsBroken) {
  const SuiteResult& suite = ResultOf(GetParam());
  std::set<std::string> cases = {CaseOf(GetParam(), "")};
  std::set<std::string> broken;
  for (const Expectation& expectation : Expectations()) {
    if (expectation.kind != GetParam()) continue;
    cases.insert(CaseOf(expectation.kind, expectation.defect));
    broken.insert(expectation.law);
  }
  for (const auto& [name, laws] : suite.tested) {
    if (name.empty()) continue;  // not a law of a plugin
    EXPECT_EQ(cases.count(name), 1) << name << " is not in the table above";
  }
  for (const std::string& law : suite.tested.at(CaseOf(GetParam(), ""))) {
    if (kWithoutDefect.count(law) == 0) {
      EXPECT_EQ(broken.count(law), 1) << "no defect breaks " << law;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, BrokenSuiteTest,
                         testing::Values("backbone", "loss", "scheduler", "learning_rate",
                                         "dataset"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace cmerc::conformance
