// A case of the learning rate suite for every defect.
#include "absl/strings/str_cat.h"
#include "tests/conformance/broken/broken_learning_rate.pb.h"
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {
namespace {

const bool kAdded = [] {
  const auto* defects = BrokenLearningRateOptions::Defect_descriptor();
  for (int i = 1; i < defects->value_count(); ++i) {
    ExtraCase("cmerc.BrokenLearningRateOptions",
              absl::StrCat("defect: ", defects->value(i)->name()));
  }
  return true;
}();

}  // namespace
}  // namespace cmerc::conformance
