// No curriculum: every conversation in every epoch, whatever its difficulty.
//
//   scheduler { [type.googleapis.com/cmerc.ConstantOptions] {} }
#include <memory>
#include <numeric>
#include <vector>

#include "core/scheduler.h"
#include "schedulers/constant.pb.h"

namespace cmerc {
namespace {

class Constant final : public Scheduler {
 public:
  static absl::StatusOr<std::unique_ptr<Scheduler>> Create(const ConstantOptions& /*options*/) {
    return std::make_unique<Constant>();
  }

  bool needs_difficulty() const override { return false; }

  std::vector<int64_t> Select(int64_t /*epoch*/,
                              absl::Span<const float> difficulty) const override {
    std::vector<int64_t> all(difficulty.size());
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
};

const Registered<ConstantOptions> kRegistered(Schedulers(), Constant::Create);

}  // namespace
}  // namespace cmerc
