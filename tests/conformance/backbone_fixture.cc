#include "tests/conformance/backbone_fixture.h"

#include <algorithm>
#include <limits>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "tests/conformance/backbone_suite.h"

namespace cmerc::conformance {
namespace {

std::map<std::string, ContextUse>& ContextUses() {
  static auto* uses = new std::map<std::string, ContextUse>;
  return *uses;
}

}  // namespace

DeclareContextUse::DeclareContextUse(const std::string& type, const std::string& options,
                                     ContextUse use) {
  ContextUses()[absl::StrCat(type, " ", options)] = use;
}

ContextUse ContextUseOf(const PluginCase& plugin) {
  const auto found = ContextUses().find(absl::StrCat(plugin.type, " ", plugin.options));
  return found == ContextUses().end() ? ContextUse::kPartial : found->second;
}

DatasetInfo SuiteInfo() {
  DatasetInfo info;
  info.name = "conformance";
  info.modalities = {{"text", 6, 4}, {"audio", 5, 1}, {"visual", 3, 1}};
  info.class_names = {"angry", "happy", "sad"};
  info.class_counts = {3, 4, 5};
  info.num_speakers = 3;
  return info;
}

Conversation RandomConversation(int64_t length, int64_t num_speakers, const DatasetInfo& info,
                                uint64_t seed) {
  torch::manual_seed(seed);
  Conversation conversation;
  conversation.id = absl::StrCat(seed);
  for (const ModalityInfo& modality : info.modalities) {
    conversation.features.emplace_back();
    for (int64_t s = 0; s < modality.num_streams; ++s) {
      conversation.features.back().push_back(torch::randn({length, modality.width}));
    }
  }
  conversation.speakers = torch::arange(length).remainder(num_speakers);
  conversation.labels = torch::arange(length).remainder(info.num_classes());
  return conversation;
}

std::vector<Conversation> RandomConversations(const std::vector<int64_t>& lengths,
                                              const DatasetInfo& info, uint64_t seed) {
  std::vector<Conversation> conversations;
  for (const int64_t length : lengths) {
    conversations.push_back(
        RandomConversation(length, info.num_speakers, info, 1000 * seed + conversations.size()));
  }
  return conversations;
}

Batch RandomBatch(const std::vector<int64_t>& lengths, const DatasetInfo& info, uint64_t seed) {
  return MakeBatch(RandomConversations(lengths, info, seed), info);
}

Batch CopyOf(const Batch& batch) {
  Batch copy = batch;
  for (Modality& modality : copy.modalities) {
    for (torch::Tensor& stream : modality.streams) stream = stream.clone();
  }
  copy.speakers = batch.speakers.clone();
  copy.context = batch.context.clone();
  copy.lengths = batch.lengths.clone();
  copy.labels = batch.labels.clone();
  if (batch.evidence.defined()) copy.evidence = batch.evidence.clone();
  return copy;
}

double MaxDifference(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  return (a - b).abs().max().item<double>();
}

void ExpectSameBits(const Prediction& a, const Prediction& b) {
  EXPECT_TRUE(torch::equal(a.log_probs, b.log_probs))
      << "log_probs differ by " << MaxDifference(a.log_probs, b.log_probs);
  EXPECT_TRUE(torch::equal(a.features, b.features))
      << "features differ by " << MaxDifference(a.features, b.features);
}

void ExpectNear(const Prediction& a, const Prediction& b, double tolerance) {
  const auto expect = [&](const char* what, const torch::Tensor& ours,
                          const torch::Tensor& theirs) {
    const double scale = std::max(1.0, theirs.abs().max().item<double>());
    EXPECT_LE(MaxDifference(ours, theirs), tolerance * scale) << what;
  };
  expect("log_probs", a.log_probs, b.log_probs);
  expect("features", a.features, b.features);
}

std::shared_ptr<Backbone> BackboneFixture::Make(const DatasetInfo& info, uint64_t seed,
                                                Dropout dropout) const {
  const auto create = [&](const absl::StatusOr<google::protobuf::Any>& exact_or_small)
      -> absl::StatusOr<std::unique_ptr<Backbone>> {
    ASSIGN_OR_RETURN(const google::protobuf::Any options, exact_or_small);
    torch::manual_seed(seed);
    return Backbones().Create(
        dropout == Dropout::kNone ? WithoutDropout(Backbones(), options) : options, info);
  };
  auto model = create(SmallOptions(GetParam()));
  // Sizes may depend on each other in ways that only the plugin knows.
  if (!model.ok()) model = create(ExactOptions(GetParam()));
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : nullptr;
}

std::shared_ptr<Backbone> BackboneFixture::MakeWithFlags(const DatasetInfo& info, uint64_t seed,
                                                         Dropout dropout) const {
  std::shared_ptr<Backbone> model = Make(info, seed, dropout);
  if (model == nullptr) return nullptr;
  model->ShowEvidence();
  const torch::NoGradGuard no_grad;
  for (auto& parameter : model->named_parameters()) {
    if (absl::StartsWith(parameter.key(), "evidence_flags.")) {
      parameter.value().copy_(
          torch::linspace(-2, 3, parameter.value().numel()).view(parameter.value().sizes()));
    }
  }
  return model;
}

Prediction BackboneFixture::Predict(Backbone& model, const Batch& batch) {
  absl::StatusOr<Prediction> prediction = model.Forward(batch);
  EXPECT_TRUE(prediction.ok()) << prediction.status();
  if (prediction.ok()) return *std::move(prediction);
  return {torch::zeros({batch.num_utterances(), model.info().num_classes()}),
          torch::zeros({batch.num_utterances(), 1})};
}

}  // namespace cmerc::conformance
