// MMGCN with semantics: OFFICIAL against the official code (data/README.md):
//
//   bazel test //tests/golden/mmgcn:mmgcn_golden_test
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backbones/layers/packing.h"
#include "backbones/mmgcn/mmgcn.pb.h"
#include "backbones/mmgcn/similarity_graph.h"
#include "core/backbone.h"
#include "tests/golden/golden.h"

namespace cmerc {
namespace {

using golden::Tensors;
using torch::Tensor;

// Float32 against numbers that were computed in float64: a few roundings of 6e-8 each way.
constexpr double kCpuTolerance = 1e-6;
const double kTolerance = golden::Tolerance(kCpuTolerance);

struct Case {
  const char* name;
  int64_t num_speakers;
  std::vector<ModalityInfo> modalities;
  const char* options;
  // Rounding adds up over the layers: the official code's own float32 gradients are off by 3e-6,
  // and by 2e-5 with 64 layers.
  double gradient_tolerance;
};

const Case kCases[] = {
    {"s2_l4", 2, {{"text", 4, 1}, {"audio", 3, 1}, {"visual", 2, 1}}, "", 3e-6},
    {"s3_all",
     3,
     {{"text", 4, 1}, {"audio", 3, 1}, {"visual", 2, 1}},
     "graph_layers: 2 alpha: 0.2 lambda: 1 variant: false encode_other_modalities: true "
     "use_modality_embedding: true use_residue: false",
     3e-6},
    {"s2_deep", 2, {{"text", 4, 1}, {"audio", 3, 1}}, "graph_layers: 64 use_speaker: false", 1e-5},
};

class GoldenMmgcnTest : public testing::TestWithParam<Case> {
 protected:
  GoldenMmgcnTest()
      : want_(golden::LoadFile(absl::StrCat("tests/golden/mmgcn/data/", GetParam().name, ".pt"))) {
    info_.name = "golden";
    info_.modalities = GetParam().modalities;
    info_.class_names = {"0", "1", "2", "3"};
    info_.class_counts.assign(4, 1);
    info_.num_speakers = GetParam().num_speakers;
    for (const ModalityInfo& modality : info_.modalities) {
      batch_.modalities.push_back(
          {modality.name, {want_.at(modality.name).transpose(0, 1).contiguous()}});
    }
    batch_.lengths = want_.at("lengths");
    batch_.speakers = want_.at("speakers").transpose(0, 1).contiguous();
    const Tensor valid = ValidRows(batch_.lengths, batch_.max_length());
    batch_.context = valid.unsqueeze(2).logical_and(valid.unsqueeze(1));
    batch_.labels = want_.at("labels");
    batch_ = golden::OnDevice(batch_);
  }

  std::unique_ptr<Backbone> Model(Semantics semantics = OFFICIAL) const {
    MmgcnOptions options;
    options.set_input_width(6);
    options.set_graph_width(5);
    options.set_dropout(0);
    options.set_semantics(semantics);
    TORCH_CHECK(google::protobuf::TextFormat::MergeFromString(GetParam().options, &options));
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

  Prediction Predict(Backbone& model) const {
    absl::StatusOr<Prediction> prediction = model.Forward(batch_);
    TORCH_CHECK(prediction.ok(), prediction.status().ToString());
    return *prediction;
  }

  // Our graph as the official one: [M * N, M * N], modality after modality.
  Tensor Adjacency(const SimilarityGraph& graph) const {
    const Tensor within = graph.within.All().cpu(), across = graph.across.cpu();
    std::vector<Tensor> blocks;
    for (int64_t k = 0; k < within.size(0); ++k) {
      const int64_t length = graph.nodes.lengths()[k].item<int64_t>();
      blocks.push_back(within[k].narrow(0, 0, length).narrow(1, 0, length));
    }
    Tensor adjacency = torch::block_diag(blocks);
    const int64_t num = batch_.num_utterances();
    for (int64_t m = 0; m < across.size(1); ++m) {
      for (int64_t other = 0; other < across.size(1); ++other) {
        adjacency.narrow(0, m * num, num)
            .narrow(1, other * num, num)
            .diagonal()
            .add_(across.select(1, m).select(1, other));
      }
    }
    return adjacency;
  }

  int64_t Count(const std::string& prefix) const {
    return std::count_if(want_.begin(), want_.end(),
                         [&](const auto& entry) { return absl::StartsWith(entry.first, prefix); });
  }

  const Tensors want_;
  DatasetInfo info_;
  Batch batch_;
};

TEST_P(GoldenMmgcnTest, ParametersAreThoseThatTheOfficialCodeTrains) {
  const auto model = Model();
  EXPECT_EQ(static_cast<int64_t>(model->named_parameters().size()), Count("state."));
  EXPECT_EQ(model->named_buffers().size(), 0);
}

TEST_P(GoldenMmgcnTest, Graph) {
  const torch::NoGradGuard no_grad;
  const Packing packing(batch_.lengths, batch_.max_length(), golden::Device());
  std::vector<ModalitySimilarities> similarities;
  for (const Tensor& nodes : golden::OnDevice(want_.at("nodes")).unbind(0)) {
    similarities.push_back(MakeSimilarities(nodes, packing));
  }
  const double difference = golden::RelativeDifference(
      Adjacency(MakeSimilarityGraph(similarities, batch_.context, packing)), want_.at("adj"));
  RecordProperty("graph", absl::StrCat(difference));
  EXPECT_LE(difference, kTolerance);
}

TEST_P(GoldenMmgcnTest, LogProbsLossAndGradients) {
  const auto model = Model();
  model->train();
  const Prediction prediction = Predict(*model);
  const double of_features = golden::RelativeDifference(prediction.features, want_.at("features"));
  RecordProperty("features", absl::StrCat(of_features));
  EXPECT_LE(of_features, kTolerance);
  const double of_log_probs =
      golden::RelativeDifference(prediction.log_probs, want_.at("log_prob"));
  RecordProperty("log_probs", absl::StrCat(of_log_probs));
  EXPECT_LE(of_log_probs, kTolerance);
  const Tensor loss = torch::nll_loss(prediction.log_probs, batch_.labels,
                                      golden::OnDevice(want_.at("class_weight")));
  EXPECT_LE(golden::RelativeDifference(loss, want_.at("loss")), kTolerance);
  loss.backward();
  double largest = 0;
  for (const auto& parameter : model->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    const double of_gradient =
        golden::RelativeDifference(parameter.value().grad(), want_.at("grad." + parameter.key()));
    EXPECT_LE(of_gradient, golden::Tolerance(GetParam().gradient_tolerance)) << parameter.key();
    largest = std::max(largest, of_gradient);
  }
  RecordProperty("largest_gradient_difference", absl::StrCat(largest));
  EXPECT_EQ(static_cast<int64_t>(model->named_parameters().size()), Count("grad."));
}

// What separates the official numbers from ours without padding is far above the tolerance.
TEST_P(GoldenMmgcnTest, ComparisonsSeeThePaddingOfTheEncoders) {
  const torch::NoGradGuard no_grad;
  EXPECT_GT(golden::RelativeDifference(Predict(*Model(CORRECTED)).features, want_.at("features")),
            1000 * kCpuTolerance);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GoldenMmgcnTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cmerc
