#include "tests/config/registries.h"
#include "tests/config/toy_loss.pb.h"

namespace cmerc_test {
namespace {

const cmerc::Registered<ToyLossOptions> kRegistered(Losses(), Create<ToyLossOptions>);

}  // namespace
}  // namespace cmerc_test
