// M3Net's ForwardAll(): several batches at once, which may share tensors, are as each by itself.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/backbone.h"
#include "tests/backbones/m3net/m3net_testing.h"
#include "tests/backbones/small_data.h"

namespace cmerc {
namespace {

using torch::Tensor;

// Batches as views make them: some tensors replaced, the rest the same.
std::vector<Batch> Views(const Batch& batch) {
  std::vector<Batch> views = {batch};
  for (size_t m = 0; m < batch.modalities.size(); ++m) {
    Batch view = batch;
    for (Tensor& stream : view.modalities[m].streams) {
      stream = stream.mean(1, /*keepdim=*/true).expand_as(stream);
    }
    views.push_back(view);
  }
  Batch cut = batch;
  cut.context =
      batch.context.logical_and(torch::eye(batch.max_length(), torch::kBool).unsqueeze(0));
  views.push_back(cut);
  return views;
}

TEST(M3NetTest, ForwardAllIsForwardOfEachBitwise) {
  for (const char* norm : kNorms) {
    for (const char* encoder : kEncoders) {
      for (int flags = 0; flags < 4; ++flags) {
        const std::string text =
            absl::StrCat("norm: ", norm, " text_encoder: ", encoder, " dropout: 0.5",
                         " use_modality_embedding: true use_residue: true",
                         " encode_other_modalities: ", flags & 1 ? "true" : "false",
                         " semantics: ", flags & 2 ? "OFFICIAL" : "CORRECTED");
        SCOPED_TRACE(text);
        const auto model = Model(Options(text));
        model->eval();
        std::vector<Batch> batches = Views(RandomBatch({3, 1, 4}));
        // Another batch, which has nothing in common with them, and some of its own streams twice.
        batches.push_back(RandomBatch({2, 5}));
        std::vector<Tensor>& streams = batches.back().modalities[0].streams;
        streams[2] = streams[1];
        for (const bool gradient : {true, false}) {
          const torch::AutoGradMode mode(gradient);
          const auto all = model->ForwardAll(batches);
          ASSERT_TRUE(all.ok()) << all.status();
          ASSERT_EQ(all->size(), batches.size());
          for (size_t i = 0; i < batches.size(); ++i) {
            const Prediction one = Predict(*model, batches[i]);
            EXPECT_TRUE(torch::equal((*all)[i].log_probs, one.log_probs)) << gradient << i;
            EXPECT_TRUE(torch::equal((*all)[i].features, one.features)) << gradient << i;
          }
        }
      }
    }
  }
}

TEST(M3NetTest, ForwardAllOfNothing) {
  const auto model = Model(Options());
  model->eval();
  const torch::NoGradGuard no_grad;
  const auto all = model->ForwardAll({});
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_TRUE(all->empty());
}

TEST(M3NetTest, ForwardAllHasTheGradientOfEachPass) {
  const auto model = Model(Options());
  model->eval();
  const std::vector<Batch> batches = Views(RandomBatch({3, 1, 4}));
  const auto all = model->ForwardAll(batches);
  ASSERT_TRUE(all.ok()) << all.status();
  Tensor together = torch::zeros({});
  Tensor one_by_one = torch::zeros({});
  for (size_t i = 0; i < batches.size(); ++i) {
    together = together + (*all)[i].log_probs.select(1, 0).square().sum();
    one_by_one = one_by_one + Predict(*model, batches[i]).log_probs.select(1, 0).square().sum();
  }
  const std::vector<Tensor> parameters = model->parameters();
  const auto got = torch::autograd::grad({together}, parameters);
  const auto want = torch::autograd::grad({one_by_one}, parameters);
  for (size_t p = 0; p < parameters.size(); ++p) {
    EXPECT_LE(MaxDifference(got[p], want[p]),
              kTolerance * std::max(1.0, want[p].abs().max().item<double>()))
        << p;
  }
}

TEST(M3NetTest, ForwardAllTrainsOnEachBatchByItself) {
  const std::vector<Batch> batches = Views(RandomBatch({3, 1, 4}));
  const auto model = Model(Options("dropout: 0.5 semantics: OFFICIAL"));
  const auto other = Model(Options("dropout: 0.5 semantics: OFFICIAL"));
  torch::manual_seed(7);
  const auto all = model->ForwardAll(batches);
  ASSERT_TRUE(all.ok()) << all.status();
  torch::manual_seed(7);
  for (size_t i = 0; i < batches.size(); ++i) {
    EXPECT_TRUE(torch::equal((*all)[i].log_probs, Predict(*other, batches[i]).log_probs)) << i;
  }
  const auto buffers = other->named_buffers();
  for (const auto& buffer : model->named_buffers()) {
    EXPECT_TRUE(torch::equal(buffer.value(), buffers[buffer.key()])) << buffer.key();
  }
}

// Streams that are one tensor are normalized at once; the numbers are those of equal copies.
TEST(M3NetTest, StreamsThatAreOneTensorAreLikeEqualOnes) {
  for (const char* norm : kNorms) {
    for (const bool training : {true, false}) {
      const std::string text = absl::StrCat("norm: ", norm, " semantics: OFFICIAL");
      const auto model = Model(Options(text));
      const auto other = Model(Options(text));
      Batch one = RandomBatch({3, 1, 4});
      Batch copies = one;
      for (size_t s = 1; s < 4; ++s) {
        one.modalities[0].streams[s] = one.modalities[0].streams[0];
        copies.modalities[0].streams[s] = one.modalities[0].streams[0].clone();
      }
      const torch::NoGradGuard no_grad;
      for (Backbone* backbone : {model.get(), other.get()}) {
        torch::manual_seed(8);
        // Only the normalizations: the weights of hyperedges divide.
        for (auto& parameter : backbone->named_parameters()) {
          if (absl::StartsWith(parameter.key(), "norm")) parameter.value().normal_(0, 0.5);
        }
        for (auto& buffer : backbone->named_buffers()) {
          if (buffer.value().is_floating_point()) buffer.value().uniform_(0.5, 1.5);
        }
        backbone->train(training);
      }
      EXPECT_LE(MaxDifference(Predict(*model, one).log_probs, Predict(*other, copies).log_probs),
                kTolerance)
          << norm;
      const auto buffers = other->named_buffers();
      for (const auto& buffer : model->named_buffers()) {
        EXPECT_LE(MaxDifference(buffer.value(), buffers[buffer.key()]), 1e-6) << buffer.key();
      }
    }
  }
}

}  // namespace
}  // namespace cmerc
