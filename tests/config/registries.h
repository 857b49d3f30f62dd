// Registries of the four kinds, with products that do nothing: the loader and the catalogue see
// only the options.
#ifndef CMERC_TESTS_CONFIG_REGISTRIES_H_
#define CMERC_TESTS_CONFIG_REGISTRIES_H_

#include <memory>

#include "absl/status/statusor.h"
#include "registry/registry.h"

namespace cmerc_test {

struct Product {};

cmerc::Registry<Product>& Datasets();
cmerc::Registry<Product>& Backbones();
cmerc::Registry<Product>& Losses();
cmerc::Registry<Product>& Schedulers();

template <typename Options>
absl::StatusOr<std::unique_ptr<Product>> Create(const Options&) {
  return std::make_unique<Product>();
}

}  // namespace cmerc_test

#endif  // CMERC_TESTS_CONFIG_REGISTRIES_H_
