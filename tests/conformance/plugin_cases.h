// What a conformance suite runs over: every registered plugin with its default options, and more
// options on request.
#ifndef CMERC_TESTS_CONFORMANCE_PLUGIN_CASES_H_
#define CMERC_TESTS_CONFORMANCE_PLUGIN_CASES_H_

#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/status.h"
#include "registry/registry.h"

namespace cmerc::conformance {

// A plugin and the options to test it with.
struct PluginCase {
  std::string type;     // "cmerc.GruOptions"
  std::string options;  // text format, "cell: LSTM"; empty for the defaults
};

// "cmerc.GruOptions {cell: LSTM}"
void PrintTo(const PluginCase& plugin, std::ostream* out);

// Its letters and digits, for INSTANTIATE_TEST_SUITE_P: "cmercGruOptionscellLSTM".
std::string CaseName(const testing::TestParamInfo<PluginCase>& info);

// Every plugin of the registry with its default options, in alphabetical order, then the extra
// cases of its types.
std::vector<PluginCase> CasesOf(const RegistryBase& registry);

// Adds a case when it is constructed, at namespace scope of a test that links a suite:
//
//   const ExtraCase kLstm("cmerc.GruOptions", "cell: LSTM");
class ExtraCase {
 public:
  ExtraCase(const std::string& type, const std::string& options);
};

// The options of the case. InvalidArgument: they do not parse, or their type is not linked in.
absl::StatusOr<google::protobuf::Any> ExactOptions(const PluginCase& plugin);

// ExactOptions() with every unset int32 or int64 field called ..._width, ..._size or ..._dim set to
// 8, so that models are small; a field whose (cmerc.range) excludes 8 stays as it is. Errors as
// there.
absl::StatusOr<google::protobuf::Any> SmallOptions(const PluginCase& plugin);

// `options` with every float or double field whose name has "dropout" in it set to 0.
google::protobuf::Any WithoutDropout(const RegistryBase& registry,
                                     const google::protobuf::Any& options);

// Whether a field of type cmerc.Semantics (core/semantics.proto) says OFFICIAL: such a plugin is
// excused from laws that the official code breaks.
bool IsOfficial(const PluginCase& plugin);

// Fails the test when no plugin of this kind is linked in, or when an extra case is of no plugin's
// type: a suite that runs over nothing must not pass.
void ExpectSomethingToTest(const RegistryBase& registry);

// registry.Create() of the exact options; its errors and those of ExactOptions().
template <typename Product, typename... Args>
absl::StatusOr<std::unique_ptr<Product>> Create(const Registry<Product, Args...>& registry,
                                                const PluginCase& plugin, Args... args) {
  ASSIGN_OR_RETURN(const google::protobuf::Any options, ExactOptions(plugin));
  return registry.Create(options, std::forward<Args>(args)...);
}

}  // namespace cmerc::conformance

#endif  // CMERC_TESTS_CONFORMANCE_PLUGIN_CASES_H_
