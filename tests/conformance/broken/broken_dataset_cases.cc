// A case of the dataset suite for every defect.
#include "absl/strings/str_cat.h"
#include "tests/conformance/broken/broken_dataset.pb.h"
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {
namespace {

const bool kAdded = [] {
  const auto* defects = BrokenDatasetOptions::Defect_descriptor();
  for (int i = 1; i < defects->value_count(); ++i) {
    ExtraCase("cmerc.BrokenDatasetOptions", absl::StrCat("defect: ", defects->value(i)->name()));
  }
  return true;
}();

}  // namespace
}  // namespace cmerc::conformance
