#include "tests/golden/golden.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>
#include <torch/serialize.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "calibration/device.h"

namespace cmerc::golden {
namespace {

std::vector<char> ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  TORCH_CHECK(in, "cannot open the golden fixture ", path);
  return std::vector<char>((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

const google::protobuf::Struct& SetsOfIndex() {
  static const auto* sets = [] {
    const std::vector<char> bytes = ReadBytes(Path("index.json"));
    google::protobuf::Struct index;
    const auto status = google::protobuf::util::JsonStringToMessage(
        std::string(bytes.begin(), bytes.end()), &index);
    TORCH_CHECK(status.ok(), Path("index.json"), ": ", status.ToString());
    return new google::protobuf::Struct(index.fields().at("sets").struct_value());
  }();
  return *sets;
}

class DeviceEnvironment : public testing::Environment {
 public:
  void SetUp() override {
    const auto count = static_cast<int64_t>(torch::cuda::device_count());
    if (Device().is_cuda() && Device().index() >= count) {
      GTEST_SKIP() << "no GPU, or a LibTorch without CUDA: CMERC_GOLDEN_DEVICE is " << Device();
    }
    PrepareDevice(Device());
  }
};

const testing::Environment* const kDeviceEnvironment =
    testing::AddGlobalTestEnvironment(new DeviceEnvironment);

}  // namespace

std::string Path(const std::string& file) {
  const char* folder = std::getenv("CMERC_GOLDEN_DIR");
  if (folder != nullptr && *folder != '\0') return absl::StrCat(folder, "/", file);
  return absl::StrCat("tests/golden/data/", file);
}

Tensors Load(const std::string& file) { return LoadFile(Path(file)); }

Tensors LoadFile(const std::string& path) {
  const c10::IValue value = torch::pickle_load(ReadBytes(path));
  Tensors tensors;
  for (const auto& entry : value.toGenericDict()) {
    tensors[entry.key().toStringRef()] = entry.value().toTensor();
  }
  return tensors;
}

std::vector<std::string> Sets() {
  std::vector<std::string> names;
  for (const auto& [name, value] : SetsOfIndex().fields()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

Config ConfigOf(const std::string& set) {
  const auto& fields =
      SetsOfIndex().fields().at(set).struct_value().fields().at("config").struct_value().fields();
  const auto number = [&](const char* name) { return fields.at(name).number_value(); };
  const auto integer = [&](const char* name) { return static_cast<int64_t>(number(name)); };
  Config config;
  config.info.name = set;
  config.info.modalities = {{"text", integer("text_dim"), 4},
                            {"audio", integer("D_a"), 1},
                            {"visual", integer("D_v"), 1}};
  for (int64_t c = 0; c < integer("n_classes"); ++c) {
    config.info.class_names.push_back(absl::StrCat("class_", c));
  }
  config.info.class_counts.assign(integer("n_classes"), 1);
  config.info.num_speakers = integer("n_speakers");
  config.input_width = integer("D_g");
  config.graph_width = integer("graph_h");
  config.num_hypergraph = integer("num_L");
  config.num_high_frequency = integer("num_K");
  config.text_linear = fields.at("dataset_flag").string_value() != "MELD";
  config.weighted_nll = fields.at("loss").string_value() == "weighted_nll";
  config.ranking_weight = number("rank_coff");
  config.mscl_weight = number("mscl_coff");
  config.cscl_weight = number("cscl_coff");
  return config;
}

torch::Device Device() {
  const char* name = std::getenv("CMERC_GOLDEN_DEVICE");
  if (name == nullptr || *name == '\0') return torch::kCPU;
  const torch::Device device(name);
  return device.is_cpu() || device.has_index() ? device : torch::Device(device.type(), 0);
}

torch::Tensor OnDevice(const torch::Tensor& tensor) { return tensor.to(Device()); }

Batch OnDevice(const Batch& batch) { return ToDevice(batch, Device()); }

double Tolerance(double on_cpu) {
  // A GPU adds up in another order and has exponentials and tangents of its own: more roundings of
  // float32, the same size each. A mistake is larger by orders of magnitude.
  constexpr double kOnGpu = 10;
  return Device().is_cuda() ? kOnGpu * on_cpu : on_cpu;
}

Batch ReadBatch(const Tensors& inputs, const std::string& prefix) {
  const auto batch_first = [&](const std::string& name) {
    return inputs.at(absl::StrCat(prefix, ".", name)).transpose(0, 1).contiguous();
  };
  Batch batch;
  batch.modalities.push_back({"text", {}});
  for (int i = 1; i <= 4; ++i) {
    batch.modalities[0].streams.push_back(batch_first(absl::StrCat("textf", i)));
  }
  batch.modalities.push_back({"audio", {batch_first("acouf")}});
  batch.modalities.push_back({"visual", {batch_first("visuf")}});
  batch.speakers = batch_first("qmask").argmax(2);
  batch.lengths = inputs.at(absl::StrCat(prefix, ".lengths"));
  const torch::Tensor valid = ValidRows(batch.lengths, batch.max_length());
  batch.context = valid.unsqueeze(2).logical_and(valid.unsqueeze(1));
  batch.labels = inputs.at(absl::StrCat(prefix, ".labels")).masked_select(valid);
  return OnDevice(batch);
}

double Difference(const torch::Tensor& a, const torch::Tensor& b) {
  TORCH_CHECK(a.sizes() == b.sizes(), "shapes differ: ", a.sizes(), " and ", b.sizes());
  if (b.numel() == 0) return 0;
  const torch::Tensor wide_a = a.detach().cpu().to(torch::kFloat64);
  const torch::Tensor wide_b = b.detach().cpu().to(torch::kFloat64);
  return (wide_a - wide_b).abs().max().item<double>() /
         std::max(1.0, wide_b.abs().max().item<double>());
}

double RelativeDifference(const torch::Tensor& a, const torch::Tensor& b) {
  TORCH_CHECK(a.sizes() == b.sizes(), "shapes differ: ", a.sizes(), " and ", b.sizes());
  const torch::Tensor here_a = a.detach().cpu(), here_b = b.detach().cpu();
  return (here_a - here_b).abs().max().item<double>() / here_b.abs().max().item<double>();
}

}  // namespace cmerc::golden
