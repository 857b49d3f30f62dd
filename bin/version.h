// The version of this project. It stands here alone; CHANGELOG.md begins with what is new in it.
#ifndef CMERC_BIN_VERSION_H_
#define CMERC_BIN_VERSION_H_

namespace cmerc {

// `cmerc --version`, the files of a run and the identities of an experiment's runs carry it: a run
// of another version is done anew (experiment/plan.h).
inline constexpr char kVersion[] = "0.2.0";

}  // namespace cmerc

#endif  // CMERC_BIN_VERSION_H_
