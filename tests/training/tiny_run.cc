#include "tests/training/tiny_run.h"

#include <google/protobuf/text_format.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/dataset.h"

namespace cmerc {
namespace {

constexpr char kData[] = R"pb(
  data {
    dataset {
      [type.googleapis.com/cmerc.SyntheticOptions] {
        train_conversations: 6
        valid_conversations: 3
        test_conversations: 3
        min_length: 2
        mean_length: 4
        max_length: 6
        num_classes: 3
        modalities { name: "text" width: 6 streams: 2 }
        modalities { name: "audio" width: 4 }
        modalities { name: "visual" width: 4 }
      }
    }
  }
)pb";

}  // namespace

const char kModel[] = R"pb(
  backbone {
    [type.googleapis.com/cmerc.M3NetOptions] {
      input_width: 8
      graph_width: 6
      hypergraph_layers: 1
      high_frequency_layers: 1
      dropout: 0.3
    }
  }
  training { epochs: 4 batch_size: 2 learning_rate: 0.01 seed: 3 }
)pb";

const char kTask[] = "losses { loss { [type.googleapis.com/cmerc.NllOptions] {} } }";

const char kRanking[] = R"pb(
  losses {
    weight: 0.3
    loss {
      [type.googleapis.com/cmerc.CalibrationRankingOptions] {}
    }
  }
)pb";

const char kCurriculum[] = R"pb(
  curriculum {
    scheduler {
      [type.googleapis.com/cmerc.BabyStepOptions] { epoch_ratio: 0.34 }
    }
  }
)pb";

RunConfig Config(const std::string& text, const std::string& model) {
  RunConfig config;
  TORCH_CHECK(
      google::protobuf::TextFormat::ParseFromString(absl::StrCat(kData, model, text), &config),
      text);
  return config;
}

RunConfig Calibrated() { return Config(absl::StrCat(kTask, kRanking)); }

PreparedData Prepare(const RunConfig& config) {
  const auto dataset = Datasets().Create(config.data().dataset());
  TORCH_CHECK(dataset.ok(), dataset.status().ToString());
  absl::StatusOr<PreparedData> data = PrepareData(**dataset, config.data());
  TORCH_CHECK(data.ok(), data.status().ToString());
  return *std::move(data);
}

}  // namespace cmerc
