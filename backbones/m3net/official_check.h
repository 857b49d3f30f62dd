// Where options ask for the official code and no official model is like that, and what official
// weights say of options that their names leave open: linear_l is in every official state dict,
// whether it is used or not.
#ifndef CMERC_BACKBONES_M3NET_OFFICIAL_CHECK_H_
#define CMERC_BACKBONES_M3NET_OFFICIAL_CHECK_H_

#include <map>
#include <string>

#include "backbones/m3net/m3net.pb.h"
#include "core/dataset.h"
#include "torch/types.h"

namespace cmerc {

// OfficialModel::Departure() of a model of these options.
std::string M3NetDeparture(const M3NetOptions& options);

// OfficialModel::Doubt() of a model of these options for this data.
std::string M3NetDoubt(const M3NetOptions& options, const DatasetInfo& info,
                       const std::map<std::string, torch::Tensor>& state);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_OFFICIAL_CHECK_H_
