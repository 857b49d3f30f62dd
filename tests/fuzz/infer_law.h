// What every inference request is held to, however it came.
#ifndef CMERC_TESTS_FUZZ_INFER_LAW_H_
#define CMERC_TESTS_FUZZ_INFER_LAW_H_

#include <cstddef>

#include "serving/open_inference.pb.h"
#include "tests/fuzz/law.h"

namespace cmerc::fuzz {

// Reads the request for a model of two modalities, t [N, 2] and a [N, 2 streams, 1]. Laws: an error
// is InvalidArgument with a message; `memory`, counted from the caller's beginning, is bounded by
// the request's `bytes`; conversations that are accepted keep the format's promises
// (CheckRecord()); an answer can be made of them in every form.
void CheckInference(const inference::ModelInferRequest& request, size_t bytes,
                    const PeakMemory& memory);

}  // namespace cmerc::fuzz

#endif  // CMERC_TESTS_FUZZ_INFER_LAW_H_
