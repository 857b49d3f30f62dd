#include "bin/session.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bin/environment.h"
#include "calibration/trainer.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/module_state.h"
#include "config/loader.h"

namespace cmerc {
namespace {

std::string SplitSize(const PreparedData& data, const std::vector<int64_t>& indices) {
  int64_t utterances = 0;
  for (const int64_t index : indices) utterances += data.conversations[index].length();
  return absl::StrCat(indices.size(), " conversations of ", utterances, " utterances");
}

}  // namespace

absl::StatusOr<PreparedData> LoadData(const ExperimentConfig& config,
                                      const Standardization* standardization) {
  SetThreads(config.training().threads());
  const std::string warning = BlasWarning();
  if (!warning.empty()) std::cerr << warning << "\n";
  const absl::StatusOr<std::unique_ptr<Dataset>> dataset =
      Datasets().Create(config.data().dataset());
  if (!dataset.ok()) {
    return absl::Status(dataset.status().code(),
                        absl::StrCat("data.dataset: ", dataset.status().message()));
  }
  absl::StatusOr<PreparedData> data = PrepareData(**dataset, config.data(), standardization);
  if (!data.ok()) return data;
  std::cout << "data      " << data->info.name << ": train " << SplitSize(*data, data->train);
  if (!data->valid.empty()) std::cout << ", valid " << SplitSize(*data, data->valid);
  std::cout << ", test " << SplitSize(*data, data->test) << "\n          "
            << absl::StrJoin(data->info.modalities, ", ",
                             [](std::string* out, const ModalityInfo& m) {
                               absl::StrAppend(out, m.name, " ", m.width);
                               if (m.num_streams > 1) absl::StrAppend(out, " x ", m.num_streams);
                             })
            << "; " << data->info.num_speakers << " speakers; "
            << absl::StrJoin(data->info.class_names, " ") << "\nprotocol  "
            << ProtocolDescription(config.data().protocol()) << "\n"
            << std::flush;
  return data;
}

absl::StatusOr<TrainedModel> LoadTrainedModel(const Flags& flags) {
  const std::string path = flags.Get("checkpoint");
  if (path.empty()) {
    return absl::InvalidArgumentError("--checkpoint=FILE is missing (DIR/selected.pth of a run)");
  }
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(path);
  if (!checkpoint.ok()) return checkpoint.status();
  absl::StatusOr<ExperimentConfig> config;
  if (flags.has("config")) {
    config = LoadConfig(flags.Get("config"), flags.All("set"));
  } else if (checkpoint->metadata.has_value()) {
    config = ParseConfig(ResolvedConfig(checkpoint->metadata->config()),
                         absl::StrCat("the config in ", path), flags.All("set"));
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     " holds weights alone, as files that Python saved do; say how they were "
                     "trained: --config=config/examples/iemocap_m3net.textproto"));
  }
  if (!config.ok()) return config.status();

  const Standardization* standardization = nullptr;
  if (checkpoint->metadata.has_value() && checkpoint->metadata->has_standardization()) {
    standardization = &checkpoint->metadata->standardization();
  }
  absl::StatusOr<PreparedData> data = LoadData(*config, standardization);
  if (!data.ok()) return data.status();
  absl::StatusOr<std::shared_ptr<Backbone>> backbone = MakeBackbone(*config, data->info);
  if (!backbone.ok()) return backbone.status();
  const absl::Status loaded = LoadState(checkpoint->state, **backbone, path);
  if (!loaded.ok()) return loaded;
  return TrainedModel{*std::move(config), *std::move(data), *std::move(backbone)};
}

absl::Status CheckWritableFile(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : (slash == 0 ? "/" : path.substr(0, slash));
  if (access(folder.c_str(), W_OK | X_OK) == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--output=", path, ": cannot write into ", folder,
                                                 ": ", std::strerror(errno),
                                                 "; create the folder or choose another"));
}

}  // namespace cmerc
