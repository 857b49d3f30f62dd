// GRU and LSTM with semantics: OFFICIAL against the official GRUModel and LSTMModel:
//
//   bazel test //tests/golden/gru:gru_test
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backbones/gru/gru.pb.h"
#include "backbones/layers/matching_attention.h"
#include "core/backbone.h"
#include "tests/golden/golden.h"

namespace cmerc {
namespace {

using golden::Difference;
using golden::Tensors;
using torch::Tensor;

// Both sides are sums of at most some tens of float32 terms, each rounded by 6e-8.
constexpr double kCpuTolerance = 1e-6;
const double kTolerance = golden::Tolerance(kCpuTolerance);

class GoldenGruTest : public testing::TestWithParam<GruOptions::Cell> {
 protected:
  GoldenGruTest() {
    const std::string prefix = GetParam() == GruOptions::GRU ? "gru." : "lstm.";
    for (const auto& [name, value] : golden::Load("simple_models.pt")) {
      if (absl::StartsWith(name, prefix)) want_[name.substr(prefix.size())] = value;
    }
    info_.name = "golden";
    // The official model has one input; its columns are the modalities side by side.
    info_.modalities = {{"text", 10, 1}, {"audio", 8, 1}, {"visual", 6, 1}};
    info_.class_names = {"0", "1", "2", "3", "4", "5"};
    info_.class_counts.assign(6, 1);
    info_.num_speakers = 1;
    const Tensor inputs = want_.at("U").transpose(0, 1).contiguous();
    int64_t start = 0;
    for (const ModalityInfo& modality : info_.modalities) {
      batch_.modalities.push_back(
          {modality.name, {inputs.narrow(2, start, modality.width).contiguous()}});
      start += modality.width;
    }
    const Tensor valid = want_.at("umask").to(torch::kBool);
    batch_.lengths = valid.sum(1);
    batch_.speakers = torch::zeros(valid.sizes(), torch::kInt64);
    batch_.context = valid.unsqueeze(2).logical_and(valid.unsqueeze(1));
    batch_.labels = want_.at("labels").masked_select(valid);
    batch_ = golden::OnDevice(batch_);
  }

  std::unique_ptr<Backbone> Model(Semantics semantics, bool attention) const {
    GruOptions options;
    options.set_cell(GetParam());
    options.set_hidden_width(10);
    options.set_linear_width(10);
    options.set_dropout(0);
    options.set_semantics(semantics);
    options.set_attention(attention);
    options.set_residual(false);
    google::protobuf::Any any;
    any.PackFrom(options);
    absl::StatusOr<std::unique_ptr<Backbone>> model = Backbones().Create(any, info_);
    TORCH_CHECK(model.ok(), model.status().ToString());
    const torch::NoGradGuard no_grad;
    for (auto& parameter : (*model)->named_parameters()) {
      parameter.value().copy_(want_.at("state." + parameter.key()));
    }
    (*model)->to(golden::Device());
    return *std::move(model);
  }

  // The rows of a [T, B, ...] fixture that are real utterances, as [N, ...].
  Tensor Real(const std::string& name) const {
    const Tensor rows = want_.at(name).transpose(0, 1).flatten(0, 1);
    return rows.index_select(0, PackedRows(batch_.lengths, batch_.max_length()));
  }

  Prediction Predict(Backbone& model) const {
    absl::StatusOr<Prediction> prediction = model.Forward(batch_);
    TORCH_CHECK(prediction.ok(), prediction.status().ToString());
    return *prediction;
  }

  // Conversation b of a batch, without its padding.
  static Batch Alone(const Batch& batch, int64_t b) {
    const int64_t length = batch.lengths[b].item<int64_t>();
    Batch alone;
    for (const Modality& modality : batch.modalities) {
      alone.modalities.push_back(
          {modality.name, {modality.streams[0].narrow(0, b, 1).narrow(1, 0, length)}});
    }
    alone.speakers = batch.speakers.narrow(0, b, 1).narrow(1, 0, length);
    alone.context = batch.context.narrow(0, b, 1).narrow(1, 0, length).narrow(2, 0, length);
    alone.lengths = batch.lengths.narrow(0, b, 1);
    const int64_t before = batch.lengths.narrow(0, 0, b).sum().item<int64_t>();
    alone.labels = batch.labels.narrow(0, before, length);
    return alone;
  }

  int64_t Count(const std::string& prefix) const {
    return std::count_if(want_.begin(), want_.end(),
                         [&](const auto& entry) { return absl::StartsWith(entry.first, prefix); });
  }

  Tensors want_;
  DatasetInfo info_;
  Batch batch_;
};

TEST_P(GoldenGruTest, StateHasTheOfficialNames) {
  const auto model = Model(OFFICIAL, true);
  EXPECT_EQ(static_cast<int64_t>(model->named_parameters().size()), Count("state."));
  EXPECT_EQ(model->named_buffers().size(), 0);
}

TEST_P(GoldenGruTest, LogProbs) {
  const torch::NoGradGuard no_grad;
  const double with = Difference(Predict(*Model(OFFICIAL, true)).log_probs, Real("log_prob"));
  const double without =
      Difference(Predict(*Model(OFFICIAL, false)).log_probs, Real("log_prob_noatt"));
  RecordProperty("with_attention", absl::StrCat(with));
  RecordProperty("without_attention", absl::StrCat(without));
  EXPECT_LE(with, kTolerance);
  EXPECT_LE(without, kTolerance);
}

TEST_P(GoldenGruTest, AttentionOverTheRecurrentOutput) {
  const Tensor x = golden::OnDevice(want_.at("emotions").transpose(0, 1));
  const Tensor queries =
      torch::linear(x, golden::OnDevice(want_.at("state.matchatt.transform.weight")),
                    golden::OnDevice(want_.at("state.matchatt.transform.bias")));
  const Tensor alpha = MatchingAttention(queries, x, batch_.context).cpu();
  const Tensor packed =
      alpha.flatten(0, 1).index_select(0, PackedRows(batch_.lengths, batch_.max_length()));
  const double difference = Difference(packed, Real("alpha"));
  RecordProperty("alpha", absl::StrCat(difference));
  EXPECT_LE(difference, kTolerance);
}

// Without attention, features are ReLU(linear(emotions)).
TEST_P(GoldenGruTest, FeaturesAreTheHiddenLayer) {
  const torch::NoGradGuard no_grad;
  const Tensor hidden = torch::relu(torch::linear(Real("emotions"), want_.at("state.linear.weight"),
                                                  want_.at("state.linear.bias")));
  EXPECT_LE(Difference(Predict(*Model(OFFICIAL, false)).features, hidden), kTolerance);
}

TEST_P(GoldenGruTest, LossesAndGradients) {
  const auto model = Model(OFFICIAL, true);
  model->train();
  const Tensor log_probs = Predict(*model).log_probs;
  EXPECT_LE(Difference(torch::nll_loss(log_probs, batch_.labels), want_.at("loss_unweighted")),
            kTolerance);
  const Tensor loss =
      torch::nll_loss(log_probs, batch_.labels, golden::OnDevice(want_.at("class_weight")));
  EXPECT_LE(Difference(loss, want_.at("loss")), kTolerance);
  loss.backward();
  double largest = 0;
  for (const auto& parameter : model->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    const double difference =
        Difference(parameter.value().grad(), want_.at("grad." + parameter.key()));
    EXPECT_LE(difference, kTolerance) << parameter.key();
    largest = std::max(largest, difference);
  }
  RecordProperty("largest_gradient_difference", absl::StrCat(largest));
  EXPECT_EQ(static_cast<int64_t>(model->named_parameters().size()), Count("grad."));
}

// The official code lets the network run over the padding behind a conversation; CORRECTED predicts
// what the official code does for the conversation alone. How far padding moves a prediction
// depends on the weights, so nothing is asked of it but that it is more than rounding (kTolerance,
// of which float32 alone stays below): that holds for any fixtures.
TEST_P(GoldenGruTest, CorrectedModeDiffersOnlyWhereThereIsPadding) {
  const torch::NoGradGuard no_grad;
  const auto official = Model(OFFICIAL, true);
  const Tensor corrected = Predict(*Model(CORRECTED, true)).log_probs;
  const Tensor padded = Real("log_prob");
  const Batch all = batch_;
  int64_t start = 0;
  int num_padded = 0;
  for (int64_t b = 0; b < all.num_conversations(); ++b) {
    const int64_t length = all.lengths[b].item<int64_t>();
    batch_ = Alone(all, b);
    const Tensor alone = Predict(*official).log_probs;
    EXPECT_LE(Difference(corrected.narrow(0, start, length), alone), kTolerance) << b;
    const double of_padding = Difference(padded.narrow(0, start, length), alone);
    if (length == all.max_length()) {
      EXPECT_LE(of_padding, kTolerance) << b;
    } else {
      EXPECT_GT(of_padding, kTolerance) << b;
      ++num_padded;
    }
    start += length;
  }
  EXPECT_GT(num_padded, 0);
}

INSTANTIATE_TEST_SUITE_P(Cells, GoldenGruTest, testing::Values(GruOptions::GRU, GruOptions::LSTM),
                         [](const auto& info) { return GruOptions::Cell_Name(info.param); });

}  // namespace
}  // namespace cmerc
