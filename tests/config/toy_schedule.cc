#include "tests/config/registries.h"
#include "tests/config/toy_schedule.pb.h"

namespace cmerc_test {
namespace {

const cmerc::Registered<ToyScheduleOptions> kRegistered(Schedulers(), Create<ToyScheduleOptions>);

}  // namespace
}  // namespace cmerc_test
