// A case of the loss suite for every defect.
#include "absl/strings/str_cat.h"
#include "tests/conformance/broken/broken_loss.pb.h"
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {
namespace {

const bool kAdded = [] {
  const auto* defects = BrokenLossOptions::Defect_descriptor();
  for (int i = 1; i < defects->value_count(); ++i) {
    ExtraCase("cmerc.BrokenLossOptions", absl::StrCat("defect: ", defects->value(i)->name()));
  }
  return true;
}();

}  // namespace
}  // namespace cmerc::conformance
