// What options of M3Net must be, and what they mean in terms of its layers.
#ifndef CMERC_BACKBONES_M3NET_OPTIONS_H_
#define CMERC_BACKBONES_M3NET_OPTIONS_H_

#include <optional>

#include "absl/status/status.h"
#include "backbones/layers/sequence_encoder.h"
#include "backbones/m3net/m3net.pb.h"
#include "core/dataset.h"

namespace cmerc {

// InvalidArgument names every reason why no model can be made with these options for this data.
absl::Status CheckM3NetOptions(const M3NetOptions& options, const DatasetInfo& info);

// The encoder that `text_encoder` asks for; none for NO_ENCODER.
std::optional<SequenceEncoder::Kind> EncoderKind(const M3NetOptions& options);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_OPTIONS_H_
