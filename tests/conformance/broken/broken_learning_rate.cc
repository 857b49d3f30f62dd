// A straight line down, as a learning rate that obeys every law of the suite; and the same with one
// defect.
#include "core/learning_rate.h"
#include "tests/conformance/broken/broken_learning_rate.pb.h"

namespace cmerc {
namespace {

using Options = BrokenLearningRateOptions;

class BrokenLearningRate final : public LearningRate {
 public:
  static absl::StatusOr<std::unique_ptr<LearningRate>> Create(const Options& options) {
    return std::unique_ptr<LearningRate>(new BrokenLearningRate(options.defect()));
  }

  double Factor(const StepPlace& place) const override {
    const auto epochs = static_cast<double>(place.epochs);
    if (Has(Options::NEVER_MOVES)) return 0;
    if (Has(Options::COUNTS_ITS_CALLS)) return 1.0 / ++calls_;
    if (Has(Options::FALLS_BELOW_ZERO)) return 1 - 1.5 * place.begin() / epochs;
    if (Has(Options::NAN_IN_A_SHORT_RUN)) return (1 - place.begin()) * 0 / (epochs - 1) + 1;
    return 1 - place.begin() / epochs;
  }

 private:
  explicit BrokenLearningRate(Options::Defect defect) : defect_(defect) {}

  bool Has(Options::Defect defect) const { return defect_ == defect; }

  const Options::Defect defect_;
  mutable int64_t calls_ = 0;
};

const Registered<BrokenLearningRateOptions> kRegistered(LearningRates(),
                                                        BrokenLearningRate::Create);

}  // namespace
}  // namespace cmerc
