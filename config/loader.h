// Makes a valid RunConfig from a config file and --set fragments, or says everything that is wrong
// with them.
#ifndef CMERC_CONFIG_LOADER_H_
#define CMERC_CONFIG_LOADER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/run.pb.h"

namespace cmerc {

// Reads the text-format RunConfig in the file `path`, merges each of `overrides` ("training
// { epochs: 3 }", text format too, or "training.epochs=3", config/assignments.h) over it in order,
// puts the home folder in place of "~/" at the front of paths, and validates the result.
//
// Merging: a scalar replaces, a message merges field by field, and so do the options of the same
// plugin; another plugin replaces, and a repeated field replaces the whole list. An entry of
// `losses` merges into the entry with the same type of options (the n-th of a type into the n-th),
// or else is added.
//
// Errors: NotFound or PermissionDenied for the file, InvalidArgument for what is in it: at most 50
// problems, a line each, with the place in the text or the path of the field, the value, and what
// is allowed. Lines that are indented further belong to the problem above.
//
// A field may have a name that it had in an earlier version of its schema (cmerc.former_name). Sets
// `warnings`, where given, to a line for each such name: its first place and the present name.
absl::StatusOr<RunConfig> LoadConfig(const std::string& path,
                                     const std::vector<std::string>& overrides,
                                     std::vector<std::string>* warnings = nullptr);

// LoadConfig() of text that is at hand; `source` names it in messages ("the config in model.pt").
absl::StatusOr<RunConfig> ParseConfig(const std::string& text, const std::string& source,
                                      const std::vector<std::string>& overrides,
                                      std::vector<std::string>* warnings = nullptr);

// `layers` merged in order, each over those before it, and then `overrides`, as LoadConfig() does,
// and validated; `source` names the result in messages. `warnings` are those of the overrides.
absl::StatusOr<RunConfig> MergeConfigs(const std::vector<RunConfig>& layers,
                                       const std::string& source,
                                       const std::vector<std::string>& overrides = {},
                                       std::vector<std::string>* warnings = nullptr);

// Reads any message in text format, such as a plan of runs, over an empty `message`, with
// LoadConfig()'s errors for the file and for what cannot be parsed, and its `warnings`. Values are
// not checked against their ranges.
absl::Status ReadTextFile(const std::string& path, google::protobuf::Message* message,
                          std::vector<std::string>* warnings = nullptr);

// ReadTextFile() of text that is at hand; `source` names it in messages.
absl::Status ReadText(const std::string& text, const std::string& source,
                      google::protobuf::Message* message,
                      std::vector<std::string>* warnings = nullptr);

// A valid `config` with every default set, in plugins' options too; it means the same. Left out:
// what is unset and has no default (strings, plugins, `curriculum`), and unset messages and members
// of a oneof inside a plugin's options, which may mean something by being absent.
RunConfig WithDefaults(RunConfig config);

// WithDefaults() in text format, which parses to a config that means the same.
std::string ResolvedConfig(const RunConfig& config);

}  // namespace cmerc

#endif  // CMERC_CONFIG_LOADER_H_
