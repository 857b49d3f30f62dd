// A training step of a backbone with every loss, to compare devices and precisions.
#ifndef CMERC_TESTS_CONFORMANCE_BACKBONE_STEP_H_
#define CMERC_TESTS_CONFORMANCE_BACKBONE_STEP_H_

#include "absl/status/statusor.h"
#include "storage/module_state.h"
#include "tests/conformance/backbone_fixture.h"
#include "training/train_step.h"

namespace cmerc::conformance {

class BackboneStepFixture : public BackboneFixture {
 protected:
  struct Outcome {
    absl::StatusOr<StepReport> report;  // on the CPU
    StateDict state;                    // of the model after the step
  };

  // A step of plain descent without dropout, whose change of the weights is the gradient. Every
  // linked loss has its default options; those that need views have that weight, and another model
  // predicts the views.
  Outcome Step(const torch::Device& device, TrainingConfig::Precision precision,
               double weight_with_views = 0.1) const;

  // Expects that both steps were taken, and differ by at most `tolerance`, relative to what is
  // above 1.
  static void ExpectNear(const Outcome& got, const Outcome& expected, double tolerance);

  // The config of that step.
  RunConfig AllLosses(double weight_with_views) const;

 private:
  // Called right before and after the step.
  virtual void BeforeStep() const {}
  virtual void AfterStep() const {}
};

}  // namespace cmerc::conformance

#endif  // CMERC_TESTS_CONFORMANCE_BACKBONE_STEP_H_
