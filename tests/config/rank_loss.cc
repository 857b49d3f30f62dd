#include "tests/config/rank_loss.pb.h"
#include "tests/config/registries.h"

namespace cmerc_test {
namespace {

const cmerc::Registered<RankLossOptions> kRegistered(Losses(), Create<RankLossOptions>);

}  // namespace
}  // namespace cmerc_test
