#include "tests/config/registries.h"
#include "tests/config/toy_net.pb.h"

namespace cmerc_test {
namespace {

const cmerc::Registered<ToyNetOptions> kRegistered(Backbones(), Create<ToyNetOptions>);

}  // namespace
}  // namespace cmerc_test
