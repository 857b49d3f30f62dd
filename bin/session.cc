#include "bin/session.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bin/configs_folder.h"
#include "bin/environment.h"
#include "bin/output.h"
#include "calibration/as_trained.h"
#include "calibration/extractors.h"
#include "calibration/folds.h"
#include "calibration/labelled.h"
#include "calibration/predictor.h"
#include "config/loader.h"
#include "config/paths.h"
#include "core/printable.h"
#include "core/status.h"
#include "datasets/assembly/in_memory.h"
#include "storage/checkpoint.h"
#include "storage/trained_backbone.h"

namespace cmerc {
namespace {

// How many utterances these conversations have.
int64_t Utterances(const PreparedData& data, const std::vector<int64_t>& indices) {
  int64_t utterances = 0;
  for (const int64_t index : indices) utterances += data.conversations[index].length();
  return utterances;
}

// ", 3 unlabelled" or nothing.
std::string Unlabelled(const PreparedData& data, const std::vector<int64_t>& indices) {
  const int64_t count = CountUnlabelled(data, indices);
  return count == 0 ? "" : absl::StrCat(", ", count, " unlabelled");
}

// "          text made by MiniLM 1.0\n", a line for each modality that is used and says so.
std::string DescribeExtractors(const PreparedData& data) {
  std::string lines;
  for (const ModalityInfo& modality : data.info.modalities) {
    const auto found = data.extractors.find(modality.name);
    if (found == data.extractors.end()) continue;
    absl::StrAppend(&lines, "          ", OneLine(modality.name), " made by ",
                    OneLine(found->second), "\n");
  }
  return lines;
}

// "data      IEMOCAP, 6 classes: hap sad ..." and then its splits, features and speakers.
std::string DescribeData(const PreparedData& data) {
  const auto short_size = [&](const char* split, const std::vector<int64_t>& indices) {
    return absl::StrCat(", ", split, " ", indices.size(), " (", Utterances(data, indices),
                        Unlabelled(data, indices), ")");
  };
  return absl::StrCat(
      "data      ", OneLine(data.info.name), ", ", data.info.num_classes(),
      " classes: ", OneLine(absl::StrJoin(data.info.class_names, " ")), "\n          train ",
      data.train.size(), " conversations (", Utterances(data, data.train), " utterances",
      Unlabelled(data, data.train), ")", data.valid.empty() ? "" : short_size("valid", data.valid),
      data.test.empty() ? ", no test split" : short_size("test", data.test), "\n          ",
      absl::StrJoin(data.info.modalities, ", ",
                    [](std::string* out, const ModalityInfo& m) {
                      absl::StrAppend(out, OneLine(m.name), " ", m.width);
                      if (m.num_streams > 1) absl::StrAppend(out, " x ", m.num_streams);
                    }),
      "; ", data.info.num_speakers, " speakers\n", DescribeExtractors(data));
}

// What to do about a file of the dataset that is not there.
std::string WherePathsStart() {
  char folder[PATH_MAX];
  return absl::StrCat("; relative paths start at ",
                      getcwd(folder, sizeof(folder)) == nullptr ? "." : folder,
                      ": put the file there, or set its path in data.dataset of the config");
}

// The config of a trained model: --config, or else what the checkpoint carries. `source` names
// either in messages.
absl::StatusOr<RunConfig> ConfigOf(const Flags& flags, const std::string& source,
                                   const Checkpoint& checkpoint) {
  if (flags.has("config")) return LoadConfigAndWarn(source, flags.All("set"));
  if (checkpoint.metadata.has_value()) {
    std::vector<std::string> warnings;
    absl::StatusOr<RunConfig> config = ParseConfig(ResolvedConfig(checkpoint.metadata->config()),
                                                   source, flags.All("set"), &warnings);
    PrintWarnings(warnings);
    return config;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(flags.Get("checkpoint"),
                   " holds weights alone, as files that Python saved do; say how they were "
                   "trained: --config=",
                   ConfigsFolder(), "/examples/iemocap_m3net.textproto"));
}

// The options of the dataset plugin. Where they have `repeated string modalities` and leave it
// empty, it becomes data.modalities: what is not used need not be good.
google::protobuf::Any DatasetOptions(const DataConfig& data) {
  google::protobuf::Any any = data.dataset();
  const auto options = Datasets().Unpack(any);
  if (!options.ok()) return any;  // for Create() to report
  const google::protobuf::FieldDescriptor* field =
      (*options)->GetDescriptor()->FindFieldByName("modalities");
  if (field == nullptr || !field->is_repeated() ||
      field->type() != google::protobuf::FieldDescriptor::TYPE_STRING) {
    return any;
  }
  const google::protobuf::Reflection& reflection = *(*options)->GetReflection();
  if (reflection.FieldSize(**options, field) > 0 || data.modalities().empty()) return any;
  for (const std::string& name : data.modalities()) {
    reflection.AddString(options->get(), field, name);
  }
  any.PackFrom(**options);
  return any;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const RunConfig& config) {
  auto dataset = Annotate(Datasets().Create(DatasetOptions(config.data())), "data.dataset");
  if (!absl::IsNotFound(dataset.status())) return dataset;
  return absl::NotFoundError(absl::StrCat(dataset.status().message(), WherePathsStart()));
}

absl::StatusOr<RunConfig> LoadConfigAndWarn(const std::string& path,
                                            const std::vector<std::string>& overrides) {
  std::vector<std::string> warnings;
  absl::StatusOr<RunConfig> config = LoadConfig(path, overrides, &warnings);
  PrintWarnings(warnings);
  if (!absl::IsNotFound(config.status())) return config;
  return absl::NotFoundError(absl::StrCat(config.status().message(), " (", ConfigsFolder(),
                                          "/examples/ has configs to start from)"));
}

void PrintWarnings(absl::Span<const std::string> warnings) {
  for (const std::string& warning : warnings) {
    std::cerr << "warning: " << Printable(warning) << "\n";
  }
}

absl::Status SetUpThreads(const RunConfig& config) {
  RETURN_IF_ERROR(SetThreads(config.training().threads()));
  const std::string warning = BlasWarning();
  if (!warning.empty()) std::cerr << warning << "\n";
  return absl::OkStatus();
}

absl::StatusOr<PreparedData> LoadData(const RunConfig& config, const CheckpointMetadata* trained,
                                      std::ostream& log) {
  RETURN_IF_ERROR(SetUpThreads(config));
  ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(config));
  PrintWarnings(WarningsOf(*dataset));
  const Extractors extractors = ExtractorsOf(*dataset);
  if (trained != nullptr) {
    RETURN_IF_ERROR(
        Annotate(CheckExtractors(ExtractorsOf(trained->dataset()), extractors), "data.dataset"));
  }
  ASSIGN_OR_RETURN(PreparedData data, PrepareData(*dataset, config.data(), trained));
  data.extractors = extractors;
  log << DescribeData(data) << "protocol  " << ProtocolDescription(config.data()) << "\n";
  const std::string fold = DescribeFold(config.data(), data.conversations, data.valid);
  const std::string test_fold =
      DescribeTestFold(config.data(), data.conversations, data.valid, data.test);
  for (const std::string& one : {test_fold, fold}) {
    if (!one.empty()) log << "folds     " << OneLine(one) << "\n";
  }
  log << std::flush;
  return data;
}

absl::StatusOr<std::string> CheckpointFlag(const Flags& flags) {
  if (flags.has("checkpoint")) return flags.Get("checkpoint");
  return absl::InvalidArgumentError("--checkpoint=FILE is missing (DIR/selected.pth of a run)");
}

absl::StatusOr<TrainedModel> LoadTrainedModel(const Flags& flags, std::ostream& log) {
  ASSIGN_OR_RETURN(const std::string path, CheckpointFlag(flags));
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadCheckpoint(path));
  std::cerr << NoteLine(checkpoint, path);
  const std::string source =
      flags.has("config") ? flags.Get("config") : absl::StrCat("the config in ", path);
  ASSIGN_OR_RETURN(RunConfig config, ConfigOf(flags, source, checkpoint));
  RETURN_IF_ERROR(CheckOutputIsNone(flags, PathsIn(config)));

  const CheckpointMetadata* trained =
      checkpoint.metadata.has_value() ? &*checkpoint.metadata : nullptr;
  ASSIGN_OR_RETURN(PreparedData data, Annotate(LoadData(config, trained, log), source));
  std::string doubt;
  ASSIGN_OR_RETURN(std::shared_ptr<Backbone> backbone,
                   MakeTrainedBackbone(config, data.info, checkpoint, path, &doubt));
  if (!doubt.empty()) PrintWarnings({absl::StrCat(path, ": ", doubt)});
  std::optional<double> temperature;
  std::optional<DataConfig::Protocol> protocol;
  std::optional<SetCalibration> sets;
  if (checkpoint.metadata.has_value()) {
    const std::string warning = OtherClassesWarning(checkpoint.metadata->dataset(), data.info);
    if (!warning.empty()) PrintWarnings({warning});
    ASSIGN_OR_RETURN(temperature, Annotate(TemperatureOf(*checkpoint.metadata), path));
    protocol = checkpoint.metadata->config().data().protocol();
    ASSIGN_OR_RETURN(
        sets, Annotate(SetCalibrationOf(*checkpoint.metadata, data.info.num_classes()), path));
  }
  return TrainedModel{std::move(config), std::move(data), std::move(backbone),
                      temperature,       protocol,        std::move(sets)};
}

absl::StatusOr<std::string> SplitFlag(const Flags& flags) {
  const std::string split = flags.has("split") ? flags.Get("split") : "test";
  if (split == "train" || split == "valid" || split == "test") return split;
  return absl::InvalidArgumentError(
      absl::StrCat("--split=", split, ", must be train, valid or test"));
}

absl::StatusOr<std::vector<int64_t>> ConversationsOf(const std::string& split,
                                                     const PreparedData& data) {
  const std::vector<int64_t>& indices = split == "train"   ? data.train
                                        : split == "valid" ? data.valid
                                                           : data.test;
  if (!indices.empty()) return indices;
  if (split == "test") {
    return absl::InvalidArgumentError(
        "--split=test: the dataset has no test split; name another split, or other labelled "
        "conversations: --input=FILE");
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--split=", split, ": this split is empty under the protocol of the config (data.protocol)"));
}

}  // namespace cmerc
