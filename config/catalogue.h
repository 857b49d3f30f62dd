// What can be written in a config: every linked plugin and the schema itself, with the comments of
// their .proto files. Plain text of at most 100 columns, in the form of a config, so that it can be
// copied into one; every value shown is a default.
#ifndef CMERC_CONFIG_CATALOGUE_H_
#define CMERC_CONFIG_CATALOGUE_H_

#include <string>

#include "absl/status/statusor.h"

namespace cmerc {

// Every linked plugin by kind: its purpose, then every field with its comment, default, type, range
// and, for an enum, values.
std::string Catalogue();

// The plugins called `name`: "cmerc.BabyStepOptions", "BabyStepOptions", "BabyStep" or "baby_step",
// letter case ignored; all of a kind for "loss" or "losses". NotFound, with the nearest name and
// the list of all, if there is none.
absl::StatusOr<std::string> Catalogue(const std::string& name);

// The fields of RunConfig, in the same way.
std::string ConfigReference();

// The part of it that describes `field`, such as "training"; "" for what is no message of
// RunConfig.
std::string ConfigReference(const std::string& field);

}  // namespace cmerc

#endif  // CMERC_CONFIG_CATALOGUE_H_
