// Lets the tests of a program run on the device of tests/host_device/host_device.h.
#include <cstdlib>

#include "tests/host_device/host_device.h"

namespace cmerc {
namespace {

[[maybe_unused]] const int chosen =
    setenv("CMERC_GOLDEN_DEVICE", HostDevice().str().c_str(), /*replace=*/1);

}  // namespace
}  // namespace cmerc
