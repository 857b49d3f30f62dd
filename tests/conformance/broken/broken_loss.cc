// Cross entropy of the full prediction and of one view, plus the mean cosine of features with
// (1, 1, ...), as a loss that obeys every law of the suite; and the same with one defect.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/loss.h"
#include "core/torch_status.h"
#include "tests/conformance/broken/broken_loss.pb.h"

namespace cmerc {
namespace {

using torch::Tensor;
using Options = BrokenLossOptions;

class BrokenLoss final : public Loss {
 public:
  static absl::StatusOr<std::unique_ptr<Loss>> Create(const Options& options,
                                                      const DatasetInfo& info) {
    return std::unique_ptr<Loss>(new BrokenLoss(options.defect(), info));
  }

  std::vector<View> views() const override { return views_; }
  std::unique_ptr<Loss> OfView(const View& /*view*/) const override {
    if (!Has(Options::OF_ONE_VIEW_ASKS_TWICE)) return nullptr;
    return std::unique_ptr<Loss>(new BrokenLoss(Options::ASKS_TWICE, info_));
  }
  std::map<std::string, Tensor> State() const override {
    if (!Has(Options::COUNTS_ITS_CALLS)) return {};
    return {{"calls", calls_}};
  }

 private:
  BrokenLoss(Options::Defect defect, const DatasetInfo& info)
      : defect_(defect), info_(info), views_({{View::Kind::kModality, info.modalities[0].name}}) {
    if (Has(Options::ASKS_TWICE)) views_.push_back(views_[0]);
  }

  bool Has(Options::Defect defect) const { return defect_ == defect; }

  Tensor ComputeImpl(const LossInput& input) const override {
    Tensor(calls_).add_(1);
    const Tensor& full = input.full.log_probs;
    const Tensor& features = input.full.features;
    const auto cross_entropy = [&](const Tensor& log_probs) {
      return -log_probs.gather(1, input.labels.unsqueeze(1)).squeeze(1);
    };
    Tensor terms = cross_entropy(full) + cross_entropy(input.at(views_[0]).log_probs);
    const double least_length = Has(Options::NAN_FOR_FEATURES_OF_LENGTH_ZERO) ? 0 : 1e-6;
    terms =
        terms + features.sum(1) / (features.square().sum(1) + least_length * least_length).sqrt();
    if (Has(Options::DEPENDS_ON_THE_ORDER)) {
      terms = torch::cat({2 * terms.narrow(0, 0, 1), terms.slice(0, 1)});
    }
    if (Has(Options::WRONG_GRADIENT)) terms = 0.5 * terms + 0.5 * terms.detach();
    if (Has(Options::NO_GRADIENT)) terms = terms.detach();
    if (Has(Options::NAN_WHERE_CERTAIN)) {
      terms = terms / (1 - full.exp().gather(1, input.labels.unsqueeze(1)).squeeze(1));
    }
    if (Has(Options::NEEDS_AUDIO)) {
      terms = terms + cross_entropy(input.at({View::Kind::kModality, "audio"}).log_probs);
    }
    if (Has(Options::WRITES_TO_ITS_INPUT)) Tensor(features.detach()).zero_();
    if (Has(Options::NO_SCALAR)) return terms;
    if (Has(Options::INFINITE_FOR_ONE_UTTERANCE)) {
      return terms.sum() / static_cast<double>(terms.size(0) - 1);
    }
    return terms.mean();
  }

  const Options::Defect defect_;
  const DatasetInfo info_;
  std::vector<View> views_;
  const Tensor calls_ = torch::zeros({});
};

const Registered<BrokenLossOptions> kRegistered(Losses(), BrokenLoss::Create);

}  // namespace
}  // namespace cmerc
