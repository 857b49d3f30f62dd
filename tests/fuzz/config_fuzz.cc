// The config loader (config/: text_parser, loader, validator) over the options of the toy plugins,
// one of which may hold another plugin, and of two of the project's own.
//
//   tests/fuzz/run.sh config -max_total_time=300
//
// The input is a config file; what follows its first line "###", where there is one, is the
// fragment of a --set.
//
// Laws: an error is InvalidArgument, in at most some thousand characters a problem and fifty
// problems; memory is bounded by the size of the input; a config that is accepted is written back
// (ResolvedConfig) as a valid config that is written in the same way; merging it over itself is
// valid too.
#include <cstdint>
#include <string>
#include <vector>

#include "backbones/m3net/m3net.pb.h"
#include "config/loader.h"
#include "datasets/synthetic.pb.h"
#include "tests/config/registries.h"
#include "tests/fuzz/law.h"

namespace cmerc::fuzz {
namespace {

const Registered<M3NetOptions> kM3Net(cmerc_test::Backbones(), cmerc_test::Create<M3NetOptions>);
const Registered<SyntheticOptions> kSynthetic(cmerc_test::Datasets(),
                                              cmerc_test::Create<SyntheticOptions>);

constexpr char kSeparator[] = "\n###\n";

void CheckWritten(const RunConfig& config) {
  const std::string text = ResolvedConfig(config);
  const absl::StatusOr<RunConfig> again = ParseConfig(text, "again", {});
  Law(again.ok(), "what is written is read", again.status().ToString());
  const std::string text_again = ResolvedConfig(*again);
  Law(text_again == text, "what is written is read as equal", text + "---\n" + text_again);
  const absl::StatusOr<RunConfig> merged = MergeConfigs({config, *again}, "merged");
  Law(merged.ok(), "a valid config over itself is valid", merged.status().ToString());
}

void Run(const std::string& input) {
  const size_t separator = input.find(kSeparator);
  std::vector<std::string> overrides;
  if (separator != std::string::npos) {
    overrides.push_back(input.substr(separator + sizeof(kSeparator) - 1));
  }
  const PeakMemory memory;
  const absl::StatusOr<RunConfig> config =
      ParseConfig(input.substr(0, separator), "fuzz", overrides);
  memory.CheckAtMost(input.size(), 600, size_t{1} << 20);
  if (config.ok()) return CheckWritten(*config);
  CheckError(config.status(), "fuzz ");
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cmerc::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
