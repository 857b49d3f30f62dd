#include "tests/config/registries.h"
#include "tests/config/toy_data.pb.h"

namespace cmerc_test {
namespace {

const cmerc::Registered<ToyDataOptions> kRegistered(Datasets(), Create<ToyDataOptions>);

}  // namespace
}  // namespace cmerc_test
