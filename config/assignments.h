// "training.epochs=3 backbone.dropout=0.4": single values of a config by the paths of their fields.
#ifndef CMERC_CONFIG_ASSIGNMENTS_H_
#define CMERC_CONFIG_ASSIGNMENTS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "config/run.pb.h"
#include "core/problems.h"

namespace cmerc::config {

// Whether `text` is assignments and not text format, which has no "=".
bool AreAssignments(absl::string_view text);

// Sets the values in `text`, which AreAssignments(), in `config`, one after the other. A path leads
// through messages; through the options of the plugin that is configured ("backbone.dropout"); and
// into a list by the position of an entry ("losses[1].weight") or, in `losses`, by the name of its
// plugin ("losses.CalibrationRanking.weight", "losses.Focal.gamma"). A value is as in text format,
// but a string needs quotes only where it has spaces; a list is a,b,c and replaces what was there;
// that of a plugin is its name ("backbone=Gru"), which has its defaults then unless it is
// configured already. What is wrong is left out and added to `problems`, with the assignment.
void Assign(absl::string_view text, RunConfig* config, Problems* problems);

}  // namespace cmerc::config

#endif  // CMERC_CONFIG_ASSIGNMENTS_H_
