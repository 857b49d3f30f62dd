// Confidence labels, class weights, the five loss terms and their gradients, from the official
// code's own log-probabilities and features.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "absl/strings/str_cat.h"
#include "core/confidence.h"
#include "tests/golden/golden.h"
#include "tests/losses/loss_testing.h"

namespace cmerc {
namespace {

// What an independent implementation met, as max |a - b| / max(1, max |b|).
const double kTolerance = golden::Tolerance(1e-5);

const char kModalViews[] = "views: 'text' views: 'audio' views: 'visual'";
const char kContextViews[] = "views: 'same_speaker' views: 'other_speakers'";

// The fixtures' names of AllViews(), in its order.
const char* const kViewKeys[] = {"t", "a", "v", "intra", "inter"};

// One call of the official code: FILE.pt with keys that start with `prefix`.
struct Pass {
  std::string file;
  std::string prefix;
};

std::vector<Pass> Passes(const std::string& set) {
  return {{set + "_eval.pt", ""},
          {set + "_train.pt", ""},
          {set + "_single.pt", "eval."},
          {set + "_single.pt", "train."},
          {set + "_single.pt", "solo.eval."}};
}

class LossesGoldenTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { config_ = golden::ConfigOf(GetParam()); }

  LossInput InputOf(const golden::Tensors& tensors, const std::string& prefix) const {
    LossInput input;
    const auto leaf = [&](const std::string& name) {
      return golden::OnDevice(tensors.at(prefix + name)).detach().clone().set_requires_grad(true);
    };
    input.labels = golden::OnDevice(tensors.at(prefix + "labels_flat"));
    input.full = {leaf("log_prob"), leaf("hidden")};
    const std::vector<View> views = AllViews(config_.info);
    for (size_t v = 0; v < views.size(); ++v) {
      const torch::Tensor& log_probs = tensors.at(absl::StrCat(prefix, kViewKeys[v], ".log_prob"));
      input.views.push_back({views[v], {golden::OnDevice(log_probs), {}}});
    }
    return input;
  }

  torch::Tensor Compute(const std::string& type, const std::string& options,
                        const LossInput& input) const {
    const auto loss = LossFromText(type, options, config_.info);
    EXPECT_TRUE(loss.ok()) << loss.status();
    absl::StatusOr<torch::Tensor> value = (*loss)->Compute(input);
    EXPECT_TRUE(value.ok()) << value.status();
    return *std::move(value);
  }

  torch::Tensor Base(const LossInput& input) const {
    if (!config_.weighted_nll) {
      return Compute("cmerc.FocalOptions", "form: OFFICIAL_ALL_CLASSES", input);
    }
    std::string options = "class_weights: GIVEN";
    for (const double share : {0.086747, 0.144406, 0.227883, 0.160585, 0.127711, 0.252668}) {
      absl::StrAppend(&options, " weight: ", 1 / share);
    }
    return Compute("cmerc.NllOptions", options, input);
  }

  torch::Tensor Ranking(const std::string& options, const LossInput& input) const {
    return Compute("cmerc.CalibrationRankingOptions", options, input);
  }
  torch::Tensor Mscl(const LossInput& input) const {
    return Compute("cmerc.MsclOptions", "semantics: OFFICIAL", input);
  }
  torch::Tensor Cscl(const LossInput& input) const {
    return Compute("cmerc.CsclOptions", "semantics: OFFICIAL", input);
  }

  golden::Config config_;
};

TEST_P(LossesGoldenTest, ConfidenceLabelsAndClassWeightsAreEqual) {
  for (const Pass& pass : Passes(GetParam())) {
    const golden::Tensors tensors = golden::Load(pass.file);
    const LossInput input = InputOf(tensors, pass.prefix);
    for (size_t v = 0; v < input.views.size(); ++v) {
      const std::string key = absl::StrCat(pass.prefix, kViewKeys[v]);
      SCOPED_TRACE(absl::StrCat(pass.file, " ", key));
      const torch::Tensor labels =
          ConfidenceLabels(input.full.log_probs, input.views[v].prediction.log_probs, input.labels);
      EXPECT_TRUE(labels.cpu().equal(tensors.at(key + ".scl_label")));
      EXPECT_TRUE(ConfidenceClassWeights(labels).cpu().equal(tensors.at(key + ".class_weight")));
    }
  }
}

TEST_P(LossesGoldenTest, LossTermsAgree) {
  for (const Pass& pass : Passes(GetParam())) {
    const golden::Tensors tensors = golden::Load(pass.file);
    const LossInput input = InputOf(tensors, pass.prefix);
    const auto expect = [&](const std::string& key, const torch::Tensor& loss) {
      SCOPED_TRACE(absl::StrCat(pass.file, " ", pass.prefix, key));
      EXPECT_LE(golden::Difference(loss, tensors.at(pass.prefix + key)), kTolerance)
          << loss.item<double>();
    };
    expect("base", Base(input));
    expect("rank", Ranking("", input));
    expect("rank_modal", Ranking(kModalViews, input));
    expect("rank_context", Ranking(kContextViews, input));
    expect("mscl", Mscl(input));
    expect("cscl", Cscl(input));
  }
}

TEST_P(LossesGoldenTest, TotalAgrees) {
  for (const Pass& pass : Passes(GetParam())) {
    const golden::Tensors tensors = golden::Load(pass.file);
    const auto total = tensors.find(pass.prefix + "total");
    if (total == tensors.end()) continue;  // only in train mode
    SCOPED_TRACE(absl::StrCat(pass.file, " ", pass.prefix));
    const LossInput input = InputOf(tensors, pass.prefix);
    const torch::Tensor loss = Base(input) + config_.ranking_weight * Ranking("", input) +
                               config_.mscl_weight * Mscl(input) +
                               config_.cscl_weight * Cscl(input);
    EXPECT_LE(golden::Difference(loss, total->second), kTolerance);
  }
}

TEST_P(LossesGoldenTest, GradientsAgree) {
  const golden::Tensors tensors = golden::Load(GetParam() + "_train.pt");
  const LossInput input = InputOf(tensors, "");
  const auto expect = [&](const std::string& key, const torch::Tensor& loss,
                          const torch::Tensor& leaf) {
    const torch::Tensor gradient = torch::autograd::grad({loss}, {leaf})[0];
    EXPECT_LE(golden::Difference(gradient, tensors.at(key)), kTolerance) << key;
  };
  expect("dbase_dlogprob", Base(input), input.full.log_probs);
  expect("drank_dlogprob", Ranking("", input), input.full.log_probs);
  expect("dmscl_dhidden", Mscl(input), input.full.features);
  expect("dcscl_dhidden", Cscl(input), input.full.features);
}

INSTANTIATE_TEST_SUITE_P(Sets, LossesGoldenTest, testing::ValuesIn(golden::Sets()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace cmerc
