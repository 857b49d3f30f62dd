#include "core/dataset.h"

namespace cmerc {

Registry<Dataset>& Datasets() {
  static auto* registry = new Registry<Dataset>("dataset");
  return *registry;
}

}  // namespace cmerc
