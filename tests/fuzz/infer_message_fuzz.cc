// Inference requests over gRPC (serving/raw_tensor, infer_tensors): a serialized
// inference.ModelInferRequest, whose values are raw or in fields of their own.
//
//   tests/fuzz/run.sh infer_message -max_total_time=300
//
// Laws: those of tests/fuzz/infer_law.h; the message itself is Protobuf's to read.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>

#include "serving/open_inference.pb.h"
#include "tests/fuzz/infer_law.h"
#include "tests/fuzz/law.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // As cmerc_serve does: Protobuf would print a line for each text that is no UTF-8.
  static const auto printing = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(printing);
  inference::ModelInferRequest request;
  if (!request.ParseFromArray(data, static_cast<int>(size))) return 0;
  const cmerc::fuzz::PeakMemory memory;
  cmerc::fuzz::CheckInference(request, size, memory);
  return 0;
}
