// What conversations have in place of a modality that they lack.
#ifndef CMERC_DATASETS_ASSEMBLY_MISSING_MODALITIES_H_
#define CMERC_DATASETS_ASSEMBLY_MISSING_MODALITIES_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/dataset.h"
#include "torch/types.h"

namespace cmerc {

// Returns Conversation::present of `length` utterances: has[m] says which of them have modality m,
// empty: all. Undefined where nothing is missing.
torch::Tensor PresentTensor(absl::Span<const std::vector<bool>> has, int64_t length);

// InvalidArgument: room for `missing` features that are not there, beside `held` ones that are,
// would make a small file take any memory: more than 256 times what is held, and 64 MiB. It is
// asked before that room is made.
absl::Status CheckRoomForMissing(double missing, double held);

// Completes conversations that lack a modality altogether, whose `features` have no streams of it,
// or end before it: they get zeros, which take no memory as long as nobody writes them out, and
// `present` says so. `present` may be set for the first modalities; labels are set. Where nothing
// is missing, conversations stay as they are. InvalidArgument: CheckRoomForMissing(), or a
// conversation has nothing of any modality.
absl::Status FillMissing(const std::vector<ModalityInfo>& modalities,
                         std::vector<Conversation>* conversations);

}  // namespace cmerc

#endif  // CMERC_DATASETS_ASSEMBLY_MISSING_MODALITIES_H_
