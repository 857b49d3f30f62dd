// DialogueRNN against the official code (data/README.md):
//
//   bazel test //tests/golden/dialogue_rnn:dialogue_rnn_golden_test
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backbones/dialogue_rnn/dialogue_rnn.pb.h"
#include "core/backbone.h"
#include "tests/golden/golden.h"

namespace cmerc {
namespace {

using golden::Tensors;
using torch::Tensor;

// Both sides are float32, and known to some 2e-6 on this measure.
constexpr double kCpuTolerance = 1e-5;
const double kTolerance = golden::Tolerance(kCpuTolerance);

struct Case {
  const char* name;
  int64_t num_speakers;
  DialogueRnnOptions::ContextAttention context_attention;
  bool listener_state;
  bool final_attention;
};

const Case kCases[] = {
    {"s2_general", 2, DialogueRnnOptions::GENERAL, false, true},
    {"s3_general2_listener", 3, DialogueRnnOptions::GENERAL2, true, true},
    {"s3_simple_listener", 3, DialogueRnnOptions::SIMPLE, true, false},
    {"s2_general2", 2, DialogueRnnOptions::GENERAL2, false, false},
};

class GoldenDialogueRnnTest : public testing::TestWithParam<Case> {
 protected:
  GoldenDialogueRnnTest()
      : want_(golden::LoadFile(
            absl::StrCat("tests/golden/dialogue_rnn/data/", GetParam().name, ".pt"))) {
    info_.name = "golden";
    // The official model has one input; its columns are the modalities side by side.
    info_.modalities = {{"text", 4, 1}, {"audio", 3, 1}};
    info_.class_names = {"0", "1", "2", "3"};
    info_.class_counts.assign(4, 1);
    info_.num_speakers = GetParam().num_speakers;
    const Tensor inputs = want_.at("U").transpose(0, 1).contiguous();
    int64_t start = 0;
    for (const ModalityInfo& modality : info_.modalities) {
      batch_.modalities.push_back(
          {modality.name, {inputs.narrow(2, start, modality.width).contiguous()}});
      start += modality.width;
    }
    batch_.lengths = want_.at("lengths");
    batch_.speakers = want_.at("speakers").transpose(0, 1).contiguous();
    const Tensor valid = ValidRows(batch_.lengths, batch_.max_length());
    batch_.context = valid.unsqueeze(2).logical_and(valid.unsqueeze(1));
    batch_.labels = want_.at("labels");
    batch_ = golden::OnDevice(batch_);
  }

  std::unique_ptr<Backbone> Model() const {
    DialogueRnnOptions options;
    options.set_global_width(5);
    options.set_party_width(4);
    options.set_emotion_width(3);
    options.set_linear_width(5);
    options.set_context_attention(GetParam().context_attention);
    options.set_listener_state(GetParam().listener_state);
    options.set_final_attention(GetParam().final_attention);
    google::protobuf::Any any;
    any.PackFrom(options);
    absl::StatusOr<std::unique_ptr<Backbone>> model = Backbones().Create(any, info_);
    TORCH_CHECK(model.ok(), model.status().ToString());
    const torch::NoGradGuard no_grad;
    for (auto& parameter : (*model)->named_parameters()) {
      parameter.value().copy_(want_.at("state." + parameter.key()));
    }
    (*model)->to(golden::Device());
    (*model)->eval();  // as the official model was, for its dropout
    return *std::move(model);
  }

  Tensor LogProbs(Backbone& model) const {
    absl::StatusOr<Prediction> prediction = model.Forward(batch_);
    TORCH_CHECK(prediction.ok(), prediction.status().ToString());
    return prediction->log_probs;
  }

  int64_t Count(const std::string& prefix) const {
    return std::count_if(want_.begin(), want_.end(),
                         [&](const auto& entry) { return absl::StartsWith(entry.first, prefix); });
  }

  const Tensors want_;
  DatasetInfo info_;
  Batch batch_;
};

TEST_P(GoldenDialogueRnnTest, ParametersAreThoseThatTheOfficialCodeTrains) {
  const auto model = Model();
  EXPECT_EQ(static_cast<int64_t>(model->named_parameters().size()), Count("state."));
  EXPECT_EQ(model->named_buffers().size(), 0);
}

TEST_P(GoldenDialogueRnnTest, LogProbsLossAndGradients) {
  const auto model = Model();
  const Tensor log_probs = LogProbs(*model);
  const double difference = golden::RelativeDifference(log_probs, want_.at("log_prob"));
  RecordProperty("log_probs", absl::StrCat(difference));
  EXPECT_LE(difference, kTolerance);
  const Tensor loss =
      torch::nll_loss(log_probs, batch_.labels, golden::OnDevice(want_.at("class_weight")));
  EXPECT_LE(golden::RelativeDifference(loss, want_.at("loss")), kTolerance);
  loss.backward();
  double largest = 0;
  for (const auto& parameter : model->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    const double of_gradient =
        golden::RelativeDifference(parameter.value().grad(), want_.at("grad." + parameter.key()));
    EXPECT_LE(of_gradient, kTolerance) << parameter.key();
    largest = std::max(largest, of_gradient);
  }
  RecordProperty("largest_gradient_difference", absl::StrCat(largest));
  EXPECT_EQ(static_cast<int64_t>(model->named_parameters().size()), Count("grad."));
}

// What the comparison is for makes far more of a difference than its tolerance: who speaks, and the
// two directions.
TEST_P(GoldenDialogueRnnTest, TheComparisonTellsSpeakersAndDirectionsApart) {
  const torch::NoGradGuard no_grad;
  const auto model = Model();
  batch_.speakers = torch::zeros_like(batch_.speakers);
  EXPECT_GT(golden::RelativeDifference(LogProbs(*model), want_.at("log_prob")),
            1000 * kCpuTolerance);
  batch_.speakers = golden::OnDevice(want_.at("speakers").transpose(0, 1).contiguous());
  auto parameters = model->named_parameters();
  for (auto& parameter : parameters) {
    const std::string& name = parameter.key();
    if (!absl::StartsWith(name, "dialog_rnn_f.")) continue;
    parameter.value().copy_(want_.at("state.dialog_rnn_r." + name.substr(name.find('.') + 1)));
  }
  EXPECT_GT(golden::RelativeDifference(LogProbs(*model), want_.at("log_prob")),
            1000 * kCpuTolerance);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GoldenDialogueRnnTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cmerc
