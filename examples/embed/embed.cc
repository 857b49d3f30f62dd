// Calibrates a model of your own on tensors of your own: no plugin, no config file, no data file.
#include <google/protobuf/text_format.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adam.h>

#include <iostream>

#include "calibration/evaluation.h"
#include "metrics/text_report.h"
#include "training/train_step.h"

struct Net : torch::nn::Module {  // features [B, T, 8], context [B, T, T] -> logits [B, T, 3]
  torch::Tensor forward(const torch::Tensor& features, const torch::Tensor& context) {
    const torch::Tensor weights = context / context.sum(2, /*keepdim=*/true).clamp_min(1);
    return last->forward(first->forward(torch::cat({features, weights.bmm(features)}, 2)).relu());
  }
  torch::nn::Linear first = register_module("first", torch::nn::Linear(16, 32));
  torch::nn::Linear last = register_module("last", torch::nn::Linear(32, 3));
};

struct CalibratedNet final : cmerc::Backbone {
  explicit CalibratedNet(const cmerc::DatasetInfo& info) : Backbone(info) {}
  cmerc::Prediction ForwardImpl(const cmerc::Batch& batch) override {
    const torch::Tensor features =
        torch::cat({batch.modalities[0].streams[0], batch.modalities[1].streams[0]}, 2);
    const torch::Tensor logits = cmerc::Pack(net->forward(features, batch.context), batch.lengths);
    return {logits.log_softmax(1), logits};
  }
  std::shared_ptr<Net> net = register_module("net", std::make_shared<Net>());
};

int main() {
  torch::manual_seed(1);
  cmerc::PreparedData data;
  data.info = {"mine", {{"text", 4}, {"audio", 4}}, {"calm", "angry", "sad"}, 2, {}, {}};
  for (int i = 0; i < 80; ++i) {  // two speakers in turn, each in one mood
    const torch::Tensor mood = torch::randint(3, {2}, torch::kInt64).repeat(5);
    const torch::Tensor clean = torch::one_hot(mood, 4).to(torch::kFloat32);
    const torch::Tensor text = clean + torch::randn({10, 4}), tone = clean + torch::randn({10, 4});
    data.conversations.push_back({"", 0, {{text}, {tone}}, torch::arange(10) % 2, mood, {}, {}});
    (i < 60 ? data.train : data.test).push_back(i);
  }
  cmerc::RunConfig config;
  google::protobuf::TextFormat::ParseFromString(R"(
      losses { loss { [type.googleapis.com/cmerc.NllOptions] {} } }
      losses { weight: 0.001 loss { [type.googleapis.com/cmerc.CalibrationRankingOptions] {} } })",
                                                &config);
  const auto losses = cmerc::MakeLosses(config, data.info).value();
  CalibratedNet model(data.info);
  torch::optim::Adam optimizer(model.parameters(), 1e-2);
  for (int step = 0; step < 80; ++step) {
    const auto indices = absl::MakeConstSpan(data.train).subspan(step % 4 * 15, 15);
    TrainStep({model, model, optimizer, losses}, data.MakeBatch(indices).value()).value();
  }
  const auto scores = Evaluate(model, data, data.test, losses, config, AllViews(data.info)).value();
  std::cout << cmerc::FormatSplitReport(scores);
  for (const auto& view : scores.views())
    std::cout << "without " << view.view() << " " << view.mean_log_prob_rise() << "\n";
}
