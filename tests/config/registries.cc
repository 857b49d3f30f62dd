#include "tests/config/registries.h"

namespace cmerc_test {

cmerc::Registry<Product>& Datasets() {
  static auto* registry = new cmerc::Registry<Product>("dataset");
  return *registry;
}

cmerc::Registry<Product>& Backbones() {
  static auto* registry = new cmerc::Registry<Product>("backbone");
  return *registry;
}

cmerc::Registry<Product>& Losses() {
  static auto* registry = new cmerc::Registry<Product>("loss");
  return *registry;
}

cmerc::Registry<Product>& Schedulers() {
  static auto* registry = new cmerc::Registry<Product>("scheduler");
  return *registry;
}

}  // namespace cmerc_test
