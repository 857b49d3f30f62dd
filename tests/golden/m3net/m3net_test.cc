// M3Net with semantics: OFFICIAL against the official CMERC code, on every set of fixtures:
//
//   bazel test //tests/golden/m3net:m3net_test
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backbones/m3net/m3net.pb.h"
#include "core/backbone.h"
#include "storage/module_state.h"
#include "tests/golden/golden.h"

namespace cmerc {
namespace {

using golden::Difference;
using golden::Tensors;
using torch::Tensor;

// The official numbers are themselves float32; they are within 5e-6 of float64 on this measure.
const double kTolerance = golden::Tolerance(1e-5);

// Every state tensor of a model by its name.
Tensors StateOf(const Backbone& model) {
  Tensors state;
  for (const auto& parameter : model.named_parameters()) state[parameter.key()] = parameter.value();
  for (const auto& buffer : model.named_buffers()) state[buffer.key()] = buffer.value();
  return state;
}

// The batch with each stream of a modality replaced, in every row, by its mean over the T padded
// rows of the conversation: the official code's modality view.
Batch WithoutModality(Batch batch, size_t modality) {
  for (Tensor& stream : batch.modalities[modality].streams) {
    stream = stream.mean(1, /*keepdim=*/true).expand_as(stream).contiguous();
  }
  return batch;
}

// The batch without context between utterances of the same speaker, or of different speakers.
Batch WithoutContext(Batch batch, bool same_speaker) {
  const Tensor same = batch.speakers.unsqueeze(2) == batch.speakers.unsqueeze(1);
  const Tensor self = torch::eye(batch.max_length(), batch.context.options());
  batch.context = batch.context.logical_and((same_speaker ? ~same : same).logical_or(self));
  return batch;
}

// One official view, by its name in the fixtures.
Batch View(const Batch& batch, const std::string& name) {
  if (name == "t") return WithoutModality(batch, 0);
  if (name == "a") return WithoutModality(batch, 1);
  if (name == "v") return WithoutModality(batch, 2);
  return WithoutContext(batch, /*same_speaker=*/name == "intra");
}

class GoldenM3NetTest : public testing::TestWithParam<std::string> {
 protected:
  GoldenM3NetTest() : config_(golden::ConfigOf(GetParam())) {
    M3NetOptions options;
    options.set_input_width(config_.input_width);
    options.set_graph_width(config_.graph_width);
    options.set_hypergraph_layers(config_.num_hypergraph);
    options.set_high_frequency_layers(config_.num_high_frequency);
    options.set_text_linear(config_.text_linear);
    options.set_dropout(0);
    options.set_semantics(OFFICIAL);
    google::protobuf::Any any;
    any.PackFrom(options);
    absl::StatusOr<std::unique_ptr<Backbone>> model = Backbones().Create(any, config_.info);
    TORCH_CHECK(model.ok(), model.status().ToString());
    model_ = *std::move(model);
    const torch::NoGradGuard no_grad;
    Tensors state = StateOf(*model_);
    for (const auto& [name, value] : Read("state0")) {
      const auto place = state.find(name);
      TORCH_CHECK(place != state.end(), "the official state has ", name, ", the model has not");
      TORCH_CHECK(place->second.sizes() == value.sizes(), name, " has shape ",
                  place->second.sizes(), ", the official one ", value.sizes());
      place->second.copy_(value);
      state.erase(place);
    }
    TORCH_CHECK(state.empty(), "the official state lacks ", state.begin()->first);
    model_->to(golden::Device());
  }

  Tensors Read(const std::string& kind) const {
    return golden::Load(absl::StrCat(GetParam(), "_", kind, ".pt"));
  }

  Prediction Predict(const Batch& batch) {
    absl::StatusOr<Prediction> prediction = model_->Forward(batch);
    TORCH_CHECK(prediction.ok(), prediction.status().ToString());
    return *prediction;
  }

  // Compares with PREFIXlog_prob and, where the fixture has it, PREFIXhidden.
  void ExpectPrediction(const Prediction& got, const Tensors& want, const std::string& prefix) {
    EXPECT_LE(Difference(got.log_probs, want.at(prefix + "log_prob")), kTolerance) << prefix;
    const auto hidden = want.find(prefix + "hidden");
    if (hidden != want.end()) {
      EXPECT_LE(Difference(got.features, hidden->second), kTolerance) << prefix;
    }
  }

  // The full prediction and the five views, in evaluation mode, without gradient.
  void ExpectAllPasses(const Batch& batch, const Tensors& want, const std::string& prefix) {
    const torch::NoGradGuard no_grad;
    model_->eval();
    ExpectPrediction(Predict(batch), want, prefix);
    for (const char* view : {"t", "a", "v", "intra", "inter"}) {
      ExpectPrediction(Predict(View(batch, view)), want, absl::StrCat(prefix, view, "."));
    }
  }

  const golden::Config config_;
  std::unique_ptr<Backbone> model_;
};

TEST_P(GoldenM3NetTest, FullPassAndFiveViews) {
  ExpectAllPasses(golden::ReadBatch(Read("inputs"), "b0"), Read("eval"), "");
}

TEST_P(GoldenM3NetTest, ConversationsOfOneAndTwoUtterances) {
  const Tensors fixtures = Read("single");
  ExpectAllPasses(golden::ReadBatch(fixtures, "in"), fixtures, "eval.");
  ExpectAllPasses(golden::ReadBatch(fixtures, "solo.in"), fixtures, "solo.eval.");
}

TEST_P(GoldenM3NetTest, EachConversationAlone) {
  const Tensors inputs = Read("inputs");
  const Tensors single = Read("single");
  const Tensors want = Read("diff");
  const torch::NoGradGuard no_grad;
  model_->eval();
  int64_t compared = 0;
  for (const char* name : {"b0", "b1", "b2", "single"}) {
    const bool from_inputs = inputs.count(absl::StrCat(name, ".lengths")) > 0;
    const Batch batch =
        from_inputs ? golden::ReadBatch(inputs, name) : golden::ReadBatch(single, "in");
    int64_t start = 0;
    for (int64_t b = 0; b < batch.num_conversations(); ++b) {
      const int64_t length = batch.lengths[b].item<int64_t>();
      Batch alone;
      for (const Modality& modality : batch.modalities) {
        alone.modalities.push_back({modality.name, {}});
        for (const Tensor& stream : modality.streams) {
          alone.modalities.back().streams.push_back(
              stream.narrow(0, b, 1).narrow(1, 0, length).contiguous());
        }
      }
      alone.speakers = batch.speakers.narrow(0, b, 1).narrow(1, 0, length).contiguous();
      alone.context = torch::ones({1, length, length}, batch.context.options());
      alone.lengths = batch.lengths.narrow(0, b, 1);
      alone.labels = batch.labels.narrow(0, start, length);
      start += length;
      ExpectPrediction(Predict(alone), want, absl::StrCat(name, ".d", b, "."));
      ++compared;
    }
  }
  EXPECT_EQ(compared,
            static_cast<int64_t>(std::count_if(want.begin(), want.end(), [](const auto& entry) {
              return absl::EndsWith(entry.first, ".log_prob");
            })));
}

TEST_P(GoldenM3NetTest, TrainingPassAndGradients) {
  const Tensors want = Read("train");
  model_->train();
  const Prediction full = Predict(golden::ReadBatch(Read("inputs"), "b0"));
  ExpectPrediction(full, want, "");
  const Tensors state = StateOf(*model_);
  for (const auto& [name, value] : want) {
    if (!absl::StartsWith(name, "after.")) continue;
    EXPECT_LE(Difference(state.at(name.substr(6)), value), kTolerance) << name;
  }
  // The total loss, by its derivatives at the prediction.
  torch::autograd::backward({full.log_probs, full.features},
                            {golden::OnDevice(want.at("dbase_dlogprob") +
                                              config_.ranking_weight * want.at("drank_dlogprob")),
                             golden::OnDevice(config_.mscl_weight * want.at("dmscl_dhidden") +
                                              config_.cscl_weight * want.at("dcscl_dhidden"))});
  int64_t compared = 0;
  for (const auto& parameter : model_->named_parameters()) {
    const auto gradient = want.find("grad." + parameter.key());
    if (gradient == want.end()) {
      EXPECT_FALSE(parameter.value().grad().defined()) << parameter.key();
      continue;
    }
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    EXPECT_LE(Difference(parameter.value().grad(), gradient->second), kTolerance)
        << parameter.key();
    ++compared;
  }
  EXPECT_EQ(compared,
            static_cast<int64_t>(std::count_if(want.begin(), want.end(), [](const auto& entry) {
              return absl::StartsWith(entry.first, "grad.");
            })));
}

TEST_P(GoldenM3NetTest, TrainingPassOverConversationsOfOneAndTwoUtterances) {
  const Tensors fixtures = Read("single");
  model_->train();
  ExpectPrediction(Predict(golden::ReadBatch(fixtures, "in")), fixtures, "train.");
}

TEST_P(GoldenM3NetTest, OptimizersSeeNoTensorThatTheOfficialCodeNeverTrains) {
  const Tensors want = Read("train");
  std::set<std::string> trained;
  for (const auto& [name, value] : want) {
    if (absl::StartsWith(name, "grad.")) trained.insert(name.substr(5));
  }
  std::set<std::string> parameters;
  for (const auto& parameter : model_->named_parameters()) parameters.insert(parameter.key());
  EXPECT_EQ(parameters, trained);
}

INSTANTIATE_TEST_SUITE_P(Sets, GoldenM3NetTest, testing::ValuesIn(golden::Sets()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace cmerc
