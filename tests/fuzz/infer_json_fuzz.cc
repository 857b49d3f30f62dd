// Inference requests over HTTP (serving/infer_json, raw_tensor, infer_tensors), as JSON and with
// binary values: the first two bytes say where the JSON ends.
//
//   tests/fuzz/run.sh infer_json -max_total_time=300
//
// Laws: those of tests/fuzz/infer_law.h.
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "serving/infer_json.h"
#include "tests/fuzz/infer_law.h"
#include "tests/fuzz/law.h"

namespace cmerc::fuzz {
namespace {

void Run(absl::string_view body, std::optional<size_t> json_size) {
  const PeakMemory memory;
  const auto request = serving::InferRequestFromJson(body, json_size);
  if (!request.ok()) return CheckError(request.status());
  CheckInference(*request, body.size(), memory);
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view all(reinterpret_cast<const char*>(data), size);
  cmerc::fuzz::Run(all, std::nullopt);
  if (size < 2) return 0;
  cmerc::fuzz::Run(all.substr(2), static_cast<size_t>(data[0]) + 256 * data[1]);
  return 0;
}
