// What the tests of M3Net share: small models and data.
#ifndef CMERC_TESTS_BACKBONES_M3NET_M3NET_TESTING_H_
#define CMERC_TESTS_BACKBONES_M3NET_M3NET_TESTING_H_

#include <memory>
#include <string>
#include <vector>

#include "backbones/m3net/m3net.pb.h"
#include "core/backbone.h"

namespace cmerc {

// Float32 sums of the same numbers in another order (a matrix product of another height, a
// conversation at another place) differ by some 1e-6 here.
constexpr double kTolerance = 1e-5;

inline constexpr const char* kNorms[] = {"BN", "LN", "LN2", "NO_NORM"};
inline constexpr const char* kEncoders[] = {"GRU", "LSTM", "TRANSFORMER", "NO_ENCODER"};

// Text, audio and video; the text has four streams.
DatasetInfo Info();

// Small, and without dropout, unless `text` says otherwise.
M3NetOptions Options(const std::string& text = "");

std::unique_ptr<Backbone> Model(const M3NetOptions& options, const DatasetInfo& info = Info());

Batch RandomBatch(const std::vector<int64_t>& lengths, const DatasetInfo& info = Info());

}  // namespace cmerc

#endif  // CMERC_TESTS_BACKBONES_M3NET_M3NET_TESTING_H_
