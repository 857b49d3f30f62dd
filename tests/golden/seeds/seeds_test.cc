// The official seeds give the official random numbers: initial weights, orders of conversations and
// dropout masks are PyTorch's. data/ holds what the official model_cm.py and its training loop
// computed with PyTorch 1.13 on a processor, torch_geometric's message passing replaced by the same
// sums. The conversations are made by a formula, so that they need no file.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backbones/layers/dropout.h"
#include "calibration/prepared_data.h"
#include "config/loader.h"
#include "metrics/report.pb.h"
#include "storage/module_state.h"
#include "storage/run_folder.h"
#include "storage/trained_backbone.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using google::protobuf::ListValue;
using google::protobuf::Struct;

// An official command: its preset, what is changed of it, and its corpus.
struct Command {
  std::string name;  // of the file in data/
  std::string preset;
  int64_t num_speakers, num_classes, audio;
  std::string more;  // options of M3Net
};

const Command kIemocap = {"iemocap", "iemocap_m3net", 2, 6, 1582, ""};
const Command kMeld = {"meld", "meld_m3net", 9, 7, 300, ""};
// linear_l is applied with these, on MELD too, and so any width goes.
const Command kMeldLstm = {
    "meld_lstm", "meld_m3net",
    9,           7,
    20,          "text_encoder: LSTM text_linear: true input_width: 32 graph_width: 24"};
const Command kMeldTransformer = {
    "meld_transformer",
    "meld_m3net",
    9,
    7,
    20,
    "text_encoder: TRANSFORMER text_linear: true input_width: 32 graph_width: 24"};

Struct Read(const std::string& name) {
  const std::string path = absl::StrCat("tests/golden/seeds/data/", name, ".json");
  std::ifstream in(path);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  Struct contents;
  const auto status = google::protobuf::util::JsonStringToMessage(text, &contents);
  TORCH_CHECK(status.ok(), path, ": ", status.ToString());
  return contents;
}

std::vector<double> Numbers(const ListValue& list) {
  std::vector<double> numbers;
  for (const auto& value : list.values()) numbers.push_back(value.number_value());
  return numbers;
}

RunConfig ConfigOf(const Command& command, const std::string& options, const std::string& more) {
  const auto config =
      LoadConfig(absl::StrCat("config/examples/", command.preset, ".textproto"),
                 {absl::StrCat("backbone { [type.googleapis.com/cmerc.M3NetOptions] { ",
                               command.more, " ", options, " } } ", more)});
  TORCH_CHECK(config.ok(), config.status().ToString());
  return *config;
}

DatasetInfo InfoOf(const Command& command, int64_t audio, int64_t visual) {
  DatasetInfo info;
  info.name = command.name;
  info.modalities = {{"text", 1024, 4}, {"audio", audio, 1}, {"visual", visual, 1}};
  for (int64_t c = 0; c < command.num_classes; ++c) {
    info.class_names.push_back(absl::StrCat("class_", c));
  }
  info.class_counts.assign(command.num_classes, 1);
  info.num_speakers = command.num_speakers;
  return info;
}

// A number in [-0.5, 0.5), a multiple of 1 / 4096.
float Feature(uint32_t conversation, uint32_t utterance, uint32_t stream, uint32_t column) {
  uint32_t hash =
      conversation * 7919U + utterance * 104729U + stream * 1299709U + column * 15485863U + 12345U;
  hash *= 2654435761U;
  hash ^= hash >> 15U;
  hash *= 2246822519U;
  return static_cast<float>(hash >> 20U) / 4096 - 0.5F;
}

// The features of a conversation; streams 0 to 3 are text, 4 is visual and 5 audio.
torch::Tensor Stream(int64_t conversation, int64_t length, uint32_t stream, int64_t width) {
  torch::Tensor features = torch::empty({length, width});
  auto* const numbers = features.data_ptr<float>();
  for (int64_t u = 0; u < length; ++u) {
    for (int64_t d = 0; d < width; ++d) {
      numbers[u * width + d] = Feature(conversation, u, stream, d);
    }
  }
  return features;
}

// Eight conversations to train on, of which two are tested on; audio is 20 wide and visual 12.
PreparedData DataOf(const Command& command) {
  PreparedData data;
  data.info = InfoOf(command, 20, 12);
  for (const int64_t length : {5, 3, 6, 2, 4, 7, 3, 4}) {
    const auto c = static_cast<int64_t>(data.conversations.size());
    Conversation conversation;
    conversation.id = absl::StrCat(c);
    conversation.features.resize(3);
    for (uint32_t s = 0; s < 4; ++s) {
      conversation.features[0].push_back(Stream(c, length, s, 1024));
    }
    conversation.features[1] = {Stream(c, length, 5, 20)};
    conversation.features[2] = {Stream(c, length, 4, 12)};
    const torch::Tensor u = torch::arange(length, torch::kInt64);
    conversation.speakers = (c + 2 * u).remainder(command.num_speakers);
    conversation.labels = (3 * c + 5 * u).remainder(command.num_classes);
    data.train.push_back(c);
    data.conversations.push_back(std::move(conversation));
  }
  data.test = {0, 1};
  return data;
}

class SeedsTest : public testing::TestWithParam<Command> {
 protected:
  const Struct want_ = Read(GetParam().name);
};

// Draws by the same formulas from the same stream: no tensor is off by more than rounding.
TEST_P(SeedsTest, InitialWeights) {
  const bool small = !GetParam().more.empty();
  const auto backbone = MakeBackbone(ConfigOf(GetParam(), "", ""),
                                     InfoOf(GetParam(), GetParam().audio, small ? 12 : 342));
  ASSERT_TRUE(backbone.ok()) << backbone.status();
  const StateDict state = StateOf(**backbone);
  std::set<std::string> names;
  for (const auto& [name, value] : want_.fields().at("weights").struct_value().fields()) {
    SCOPED_TRACE(name);
    names.insert(name);
    const auto& parts = value.list_value().values();
    ASSERT_EQ(state.count(name), 1U);
    const torch::Tensor& tensor = state.at(name);
    const std::vector<double> shape = Numbers(parts[0].list_value());
    ASSERT_EQ(std::vector<double>(tensor.sizes().begin(), tensor.sizes().end()), shape);
    const torch::Tensor flat = tensor.flatten().to(torch::kFloat64);
    const std::vector<double> numbers = Numbers(parts[1].list_value());
    const std::vector<int64_t> places = {0, flat.numel() / 2, flat.numel() - 1};
    for (size_t i = 0; i < places.size(); ++i) {
      EXPECT_NEAR(flat[places[i]].item<double>(), numbers[i], 2e-7 * (1 + std::abs(numbers[i])));
    }
    EXPECT_NEAR(flat.sum().item<double>(), parts[2].number_value(),
                1e-6 * (1 + flat.abs().sum().item<double>()));
  }
  for (const auto& [name, tensor] : state) EXPECT_EQ(names.count(name), 1U) << name;
  if (want_.fields().count("next") == 0) return;
  // No number more or less was drawn.
  const torch::Tensor next = torch::rand({4});
  const std::vector<double> want_next = Numbers(want_.fields().at("next").list_value());
  for (int64_t i = 0; i < 4; ++i) EXPECT_NEAR(next[i].item<double>(), want_next[i], 1e-7);
}

// The mean loss of three epochs with the dropout of the command: it depends on the initial weights,
// on the order of the conversations and on every mask.
TEST_P(SeedsTest, Training) {
  std::string small;  // MELD's text is as wide as the graph's input
  if (GetParam().more.empty()) small = "graph_width: 24";
  if (GetParam().name == "iemocap") small += " input_width: 32";
  const RunConfig config =
      ConfigOf(GetParam(), small, "training { epochs: 3 batch_size: 3 learning_rate: 1e-3 }");
  const std::string folder = absl::StrCat(testing::TempDir(), "/", GetParam().name);
  const absl::Status made = MakeFolder(folder);
  ASSERT_TRUE(made.ok()) << made;
  const auto summary = Train(config, DataOf(GetParam()), folder, {});
  ASSERT_TRUE(summary.ok()) << summary.status();

  std::ifstream metrics(folder + "/metrics.jsonl");
  for (const auto& epoch : want_.fields().at("losses").list_value().values()) {
    std::string line;
    ASSERT_TRUE(std::getline(metrics, line));
    EpochReport report;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &report).ok()) << line;
    const std::vector<double> steps = Numbers(epoch.list_value());
    double mean = 0;
    for (const double loss : steps) mean += loss / static_cast<double>(steps.size());
    EXPECT_NEAR(report.total_loss(), mean, 1e-4 * mean) << "epoch " << report.epoch();
  }
}

INSTANTIATE_TEST_SUITE_P(Commands, SeedsTest,
                         testing::Values(kIemocap, kMeld, kMeldLstm, kMeldTransformer),
                         [](const auto& info) { return info.param.name; });

// The first mask of a pass over data: the generator is where PyTorch's DataLoader leaves it.
class MaskTest : public testing::TestWithParam<Command> {};

TEST_P(MaskTest, Dropout) {
  const Struct want = Read(GetParam().name).fields().at("mask").struct_value();
  torch::manual_seed(ConfigOf(GetParam(), "", "").training().seed());
  torch::empty({}, torch::kInt64).random_();
  const torch::Tensor kept =
      Dropout(torch::ones({100000}), want.fields().at("dropout").number_value(), true) > 0;
  std::string first;
  for (int64_t i = 0; i < 64; ++i) first += kept[i].item<bool>() ? '1' : '0';
  EXPECT_EQ(first, want.fields().at("first").string_value());
  EXPECT_EQ(kept.sum().item<int64_t>(),
            static_cast<int64_t>(want.fields().at("kept").number_value()));
}

INSTANTIATE_TEST_SUITE_P(Commands, MaskTest, testing::Values(kIemocap, kMeld),
                         [](const auto& info) { return info.param.name; });

// Official weights for MELD with another encoder than GRU: linear_l is applied.
class MeldEncoderTest : public testing::TestWithParam<Command> {};

TEST_P(MeldEncoderTest, PredictsAsTheOfficialCodeWithTextLinear) {
  const PreparedData data = DataOf(GetParam());
  const auto backbone = MakeBackbone(ConfigOf(GetParam(), "", ""), data.info);
  ASSERT_TRUE(backbone.ok()) << backbone.status();
  (*backbone)->eval();
  const torch::NoGradGuard no_grad;
  const auto prediction = (*backbone)->Forward(data.MakeBatch({0, 1, 2}).value());
  ASSERT_TRUE(prediction.ok()) << prediction.status();
  const auto want = Read(GetParam().name).fields().at("log_prob").list_value();
  ASSERT_EQ(prediction->log_probs.size(0), want.values_size());
  for (int i = 0; i < want.values_size(); ++i) {
    const std::vector<double> row = Numbers(want.values(i).list_value());
    for (size_t c = 0; c < row.size(); ++c) {
      EXPECT_NEAR(prediction->log_probs[i][static_cast<int64_t>(c)].item<double>(), row[c], 1e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Encoders, MeldEncoderTest, testing::Values(kMeldLstm, kMeldTransformer),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cmerc
