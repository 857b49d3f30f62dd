// Negative log-likelihood with class weights: the usual loss of a classifier.
//
//   loss = sum_i w[y_i] * -log p_i[y_i] / sum_i w[y_i]
//
// log_probs [N, C], labels [N], w [C] -> []. Reads no views and no features.
// Source: official train_cm.py, `loss_function = nn.NLLLoss(loss_weights)` (IEMOCAP).
//
//   loss { [type.googleapis.com/cmerc.NllOptions] { class_weights: INVERSE_FREQUENCY } }
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/loss.h"
#include "losses/nll.pb.h"

namespace cmerc {
namespace {

class Nll final : public Loss {
 public:
  static absl::StatusOr<std::unique_ptr<Loss>> Create(const NllOptions& options,
                                                      const DatasetInfo& info) {
    absl::StatusOr<std::vector<double>> weights = ClassWeights(options, info);
    if (!weights.ok()) return weights.status();
    return std::make_unique<Nll>(weights->empty() ? torch::Tensor()
                                                  : torch::tensor(*weights, torch::kFloat64));
  }

  // weights: [C] float64, or undefined for none.
  explicit Nll(torch::Tensor weights) : weights_(std::move(weights)) {}

 private:
  // Empty: no weights.
  static absl::StatusOr<std::vector<double>> ClassWeights(const NllOptions& options,
                                                          const DatasetInfo& info) {
    if (options.class_weights() != NllOptions::GIVEN && options.weight_size() > 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "cmerc.NllOptions: ", options.weight_size(), " values of weight with class_weights = ",
          NllOptions::ClassWeights_Name(options.class_weights()),
          ", which ignores them; set class_weights: GIVEN or remove them"));
    }
    switch (options.class_weights()) {
      case NllOptions::NONE:
        return std::vector<double>();
      case NllOptions::GIVEN:
        return GivenWeights(options, info);
      case NllOptions::INVERSE_FREQUENCY:
        return InverseFrequencies(info);
    }
    return absl::InternalError("cmerc.NllOptions: unknown class_weights");
  }

  static absl::StatusOr<std::vector<double>> GivenWeights(const NllOptions& options,
                                                          const DatasetInfo& info) {
    if (options.weight_size() != info.num_classes()) {
      return absl::InvalidArgumentError(
          absl::StrCat("cmerc.NllOptions: ", options.weight_size(), " values of weight, must be ",
                       info.num_classes(), ", one for each class of ", info.name));
    }
    for (int c = 0; c < options.weight_size(); ++c) {
      if (!(options.weight(c) > 0) || !std::isfinite(options.weight(c))) {
        return absl::InvalidArgumentError(absl::StrCat("cmerc.NllOptions: weight[", c,
                                                       "] = ", options.weight(c),
                                                       ", must be above 0 and finite"));
      }
    }
    return std::vector<double>(options.weight().begin(), options.weight().end());
  }

  static absl::StatusOr<std::vector<double>> InverseFrequencies(const DatasetInfo& info) {
    const auto num_classes = static_cast<size_t>(info.num_classes());
    if (info.class_counts.size() != num_classes) {
      return absl::InvalidArgumentError(absl::StrCat(
          "cmerc.NllOptions: class_weights = INVERSE_FREQUENCY needs a count for each "
          "of the ",
          num_classes, " classes of ", info.name, ", which has ", info.class_counts.size()));
    }
    std::vector<double> counts;
    double total = 0;
    for (const int64_t count : info.class_counts) {
      counts.push_back(static_cast<double>(std::max<int64_t>(count, 1)));
      total += static_cast<double>(count);
    }
    std::vector<double> weights;
    for (const double count : counts) {
      weights.push_back(std::max(total, 1.0) / (static_cast<double>(num_classes) * count));
    }
    return weights;
  }

  torch::Tensor ComputeImpl(const LossInput& input) const override {
    const torch::Tensor& log_probs = input.full.log_probs;
    return torch::nll_loss(log_probs, input.labels,
                           weights_.defined() ? weights_.to(log_probs.options()) : weights_);
  }

  const torch::Tensor weights_;
};

const Registered<NllOptions> kRegistered(Losses(), Nll::Create);

}  // namespace
}  // namespace cmerc
