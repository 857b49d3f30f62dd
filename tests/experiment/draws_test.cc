// What a search draws: the same for a trial whatever else there is, within its interval. Draws that
// a config refuses: //tests/bin:bad_input_test.
#include "experiment/draws.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Draw Uniform(const std::string& path, double min, double max) {
  Draw draw;
  draw.add_path(path);
  draw.mutable_uniform()->set_min(min);
  draw.mutable_uniform()->set_max(max);
  return draw;
}

Draw LogUniform(const std::string& path, double min, double max) {
  Draw draw;
  draw.add_path(path);
  draw.mutable_log_uniform()->set_min(min);
  draw.mutable_log_uniform()->set_max(max);
  return draw;
}

Draw Choice(const std::string& path, const std::vector<std::string>& choices) {
  Draw draw;
  draw.add_path(path);
  for (const std::string& choice : choices) draw.add_choice(choice);
  return draw;
}

double Value(const std::string& text) {
  double value = NAN;
  EXPECT_TRUE(absl::SimpleAtod(text, &value)) << text;
  return value;
}

// Computed by a program in Python from the definition in draws.cc: a release that draws others
// would change the results of every plan.
TEST(DrawsTest, ATrialIsANumber) {
  const Draw rate = LogUniform("training.learning_rate", 1e-4, 1e-2);
  EXPECT_EQ(DrawnValue(rate, false, 1, 17), "0.000207641");
  EXPECT_EQ(DrawnValue(rate, false, 2, 17), "0.000761855");
  EXPECT_EQ(DrawnValue(Uniform("backbone.dropout", 0.1, 0.7), false, 1, 17), "0.229936");
  EXPECT_EQ(DrawnValue(Uniform("training.batch_size", 8, 32), true, 1, 17), "26");
  EXPECT_EQ(DrawnValue(LogUniform("backbone.hidden_width", 16, 256), true, 1, 17), "111");
  EXPECT_EQ(DrawnValue(Choice("backbone.cell", {"GRU", "LSTM"}), false, 1, 17), "GRU");
}

TEST(DrawsTest, StaysWithinItsInterval) {
  const Draw narrow = Uniform("a", 0.99999901, 0.99999902);  // six digits would leave it
  const Draw whole = Uniform("b", 3, 5);
  const Draw log_whole = LogUniform("c", 1, 100);
  const Draw log = LogUniform("d", 1e-4, 1e-2);
  const Draw choice = Choice("e", {"x", "y", "z"});
  std::set<std::string> wholes, choices;
  int below_ten = 0, below_thousandth = 0;
  constexpr int kTrials = 1000;
  for (int trial = 1; trial <= kTrials; ++trial) {
    const double value = Value(DrawnValue(narrow, false, 7, trial));
    EXPECT_GE(value, 0.99999901);
    EXPECT_LE(value, 0.99999902);
    wholes.insert(DrawnValue(whole, true, 7, trial));
    choices.insert(DrawnValue(choice, false, 7, trial));
    const double number = Value(DrawnValue(log_whole, true, 7, trial));
    EXPECT_EQ(number, std::floor(number));
    EXPECT_GE(number, 1);
    EXPECT_LE(number, 100);
    below_ten += number < 10 ? 1 : 0;
    below_thousandth += Value(DrawnValue(log, false, 7, trial)) < 1e-3 ? 1 : 0;
  }
  EXPECT_THAT(wholes, ElementsAre("3", "4", "5"));
  EXPECT_THAT(choices, ElementsAre("x", "y", "z"));
  // log(10) / log(101), and one half, of the draws; the standard error is 16.
  EXPECT_NEAR(below_ten, 499, 64);
  EXPECT_NEAR(below_thousandth, 500, 64);
}

TEST(DrawsTest, WholeNumbersHaveNoExponent) {
  EXPECT_THAT(ExtremeValues(Uniform("a", 1, 1e7)), ElementsAre("1", "10000000"));
  EXPECT_THAT(ExtremeValues(Uniform("a", 1e-5, 0.123456789)), ElementsAre("1e-05", "0.123456789"));
  EXPECT_THAT(ExtremeValues(Choice("a", {"q", "p"})), ElementsAre("q", "p"));
}

TEST(DrawsTest, AVariationReplacesWhatIsDrawnForAll) {
  ExperimentPlan plan;
  *plan.mutable_search()->add_draw() = Uniform("a", 0, 1);
  *plan.mutable_search()->add_draw() = Uniform("b", 0, 1);
  Variation* dataset = plan.add_datasets();
  dataset->set_name("meld");
  *dataset->add_draw() = Uniform("b", 0, 2);
  plan.add_datasets()->set_name("iemocap");
  Variation* backbone = plan.add_backbones();
  backbone->set_name("gru");
  *backbone->add_draw() = Choice("a", {"3"});
  Variation* variant = plan.add_variants();
  variant->set_name("wide");
  *variant->add_draw() = Choice("c", {"4"});
  const std::vector<PlannedVariant> variants = VariantsOf(plan);
  ASSERT_EQ(variants.size(), 1U);
  const auto places = [&](const std::string& name) {
    std::vector<std::string> result;
    for (const PlacedDraw& placed : DrawsOf(plan, name, variants[0]))
      result.push_back(placed.place);
    return result;
  };
  EXPECT_THAT(places("meld"),
              ElementsAre("datasets[0].draw[0]", "backbones[0].draw[0]", "variants[0].draw[0]"));
  EXPECT_THAT(places("iemocap"),
              ElementsAre("search.draw[1]", "backbones[0].draw[0]", "variants[0].draw[0]"));
}

TEST(DrawsTest, SeveralPathsHaveOneValue) {
  Draw draw = Choice("backbone.input_width", {"64"});
  draw.add_path("backbone.graph_width");
  EXPECT_THAT(Assignments(draw, "64"),
              ElementsAre("backbone.input_width=64", "backbone.graph_width=64"));
}

std::vector<std::string> Problems(const Draw& draw) {
  ExperimentPlan plan;
  *plan.mutable_search()->add_draw() = draw;
  std::vector<std::string> problems;
  CheckDraws(plan, &problems);
  return problems;
}

TEST(CheckDrawsTest, NamesWhatCannotBeDrawn) {
  EXPECT_THAT(Problems(Uniform("a", 0, 1)), IsEmpty());
  EXPECT_THAT(Problems(Uniform("a", 1, 1)),
              ElementsAre("search.draw[0] (a): uniform { min: 1 max: 1 } has nothing to draw from; "
                          "want min < max"));
  EXPECT_THAT(Problems(LogUniform("a", 0, 1)),
              ElementsAre("search.draw[0] (a): log_uniform.min = 0, must be > 0, to have a "
                          "logarithm; or write uniform"));
  EXPECT_THAT(
      Problems(Uniform("a", 0, INFINITY)),
      Contains(HasSubstr("search.draw[0] (a): uniform { min: 0 max: inf }, must be finite")));
  EXPECT_THAT(Problems(Uniform("a", -1e308, 1e308)), Contains(HasSubstr("must be finite")));
  EXPECT_THAT(Problems(Choice("a", {"1", "1"})),
              ElementsAre("search.draw[0] (a): choice = \"1\" occurs twice"));
  EXPECT_THAT(Problems(Choice("a", {"1 training.seed=2"})),
              ElementsAre(HasSubstr("must be a value as behind --set=PATH=, without spaces")));
  EXPECT_THAT(Problems(Choice("a=1", {"1"})),
              ElementsAre(HasSubstr("search.draw[0].path = \"a=1\"")));
  EXPECT_THAT(Problems(Choice("data.folds", {"3"})),
              ElementsAre(HasSubstr("trials that differ in it cannot be compared")));
  EXPECT_THAT(Problems(Choice("data.dataset.noise", {"3"})),
              ElementsAre(HasSubstr("trials that differ in it cannot be compared")));
  EXPECT_THAT(Problems(Choice("data.standardize", {"true", "false"})), IsEmpty());
  Draw two = Uniform("a", 0, 1);
  two.add_choice("1");
  EXPECT_THAT(Problems(two), ElementsAre(AllOf(HasSubstr("search.draw[0] (a)"),
                                               HasSubstr("it says more than one way"))));
  Draw half;
  half.add_path("a");
  half.mutable_uniform()->set_min(1);
  EXPECT_THAT(Problems(half), ElementsAre("search.draw[0] (a): uniform needs both min and max"));
}

}  // namespace
}  // namespace cmerc
