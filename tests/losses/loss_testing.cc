#include "tests/losses/loss_testing.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/text_format.h>

#include "absl/strings/str_cat.h"

namespace cmerc {

DatasetInfo LossTestInfo(int64_t num_classes) {
  DatasetInfo info;
  info.name = "test";
  info.modalities = {{"text", 4, 4}, {"audio", 3, 1}, {"visual", 2, 1}};
  info.num_speakers = 2;
  for (int64_t c = 0; c < num_classes; ++c) {
    info.class_names.push_back(absl::StrCat("class_", c));
    info.class_counts.push_back(10 * (c + 1));
  }
  return info;
}

absl::StatusOr<std::unique_ptr<Loss>> LossFromText(const std::string& type,
                                                   const std::string& options,
                                                   const DatasetInfo& info) {
  google::protobuf::Any any;
  const std::string text = absl::StrCat("[type.googleapis.com/", type, "] {", options, "}");
  if (!google::protobuf::TextFormat::ParseFromString(text, &any)) {
    return absl::InvalidArgumentError(absl::StrCat("cannot parse ", text));
  }
  return Losses().Create(any, info);
}

LossInput RandomLossInput(const DatasetInfo& info, int64_t num_utterances, int64_t feature_width,
                          torch::ScalarType dtype, uint64_t seed) {
  torch::manual_seed(seed);
  const auto predict = [&] {
    return Prediction{torch::randn({num_utterances, info.num_classes()}, dtype).log_softmax(1),
                      torch::randn({num_utterances, feature_width}, dtype)};
  };
  LossInput input;
  input.full = predict();
  for (const View& view : AllViews(info)) input.views.push_back({view, predict()});
  input.labels = torch::randint(info.num_classes(), {num_utterances}, torch::kInt64);
  return input;
}

}  // namespace cmerc
