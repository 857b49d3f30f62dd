#include "tests/backbones/m3net/m3net_testing.h"

#include <google/protobuf/text_format.h>

#include <utility>

#include "tests/backbones/small_data.h"

namespace cmerc {

DatasetInfo Info() { return SmallInfo({{"text", 6, 4}, {"audio", 5, 1}, {"visual", 3, 1}}); }

M3NetOptions Options(const std::string& text) {
  M3NetOptions options;
  options.set_input_width(8);
  options.set_graph_width(4);
  options.set_dropout(0);
  TORCH_CHECK(google::protobuf::TextFormat::MergeFromString(text, &options), text);
  return options;
}

std::unique_ptr<Backbone> Model(const M3NetOptions& options, const DatasetInfo& info) {
  auto model = CreateBackbone(options, info);
  TORCH_CHECK(model.ok(), model.status().ToString());
  return *std::move(model);
}

Batch RandomBatch(const std::vector<int64_t>& lengths, const DatasetInfo& info) {
  return SmallBatch(lengths, info);
}

}  // namespace cmerc
