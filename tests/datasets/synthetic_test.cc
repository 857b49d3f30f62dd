#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/batch.h"
#include "core/dataset.h"
#include "datasets/assembly/random.h"
#include "datasets/synthetic.pb.h"
#include "torch/types.h"

namespace cmerc {
namespace {

absl::StatusOr<std::unique_ptr<Dataset>> Create(const SyntheticOptions& options) {
  google::protobuf::Any any;
  any.PackFrom(options);
  return Datasets().Create(any);
}

std::unique_ptr<Dataset> MustCreate(const SyntheticOptions& options) {
  absl::StatusOr<std::unique_ptr<Dataset>> dataset = Create(options);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return dataset.ok() ? *std::move(dataset) : nullptr;
}

// Many conversations of the default kind, so that shares and scores are known to about 1 %.
SyntheticOptions Large() {
  SyntheticOptions options;
  options.set_train_conversations(400);
  options.set_test_conversations(400);
  return options;
}

std::vector<int64_t> Labels(const Dataset& dataset, Split split) {
  std::vector<int64_t> labels;
  for (const int64_t index : dataset.split(split)) {
    const Conversation conversation = dataset.Get(index).value();
    const int64_t* data = conversation.labels.data_ptr<int64_t>();
    labels.insert(labels.end(), data, data + conversation.length());
  }
  return labels;
}

TEST(SyntheticTest, DefaultsAreSmallAndSaidInInfo) {
  const auto dataset = MustCreate({});
  const DatasetInfo& info = dataset->info();
  EXPECT_EQ(info.name, "Synthetic");
  ASSERT_EQ(info.modalities.size(), 3u);
  EXPECT_EQ(info.modalities[0].name, "text");
  EXPECT_EQ(info.modalities[0].width, 32);
  EXPECT_EQ(info.modalities[1].name, "audio");
  EXPECT_EQ(info.modalities[2].name, "visual");
  EXPECT_EQ(info.num_classes(), 6);
  EXPECT_EQ(info.num_speakers, 2);
  EXPECT_EQ(info.speaker_names, std::vector<std::string>({"0", "1"}));
  EXPECT_EQ(dataset->size(), 92);
  EXPECT_EQ(dataset->split(Split::kTrain).size(), 60u);
  EXPECT_EQ(dataset->split(Split::kValid).size(), 12u);
  EXPECT_EQ(dataset->split(Split::kTrainAndValid).size(), 72u);
  EXPECT_EQ(dataset->split(Split::kTest).size(), 20u);

  std::vector<int64_t> counts(6, 0);
  for (const int64_t label : Labels(*dataset, Split::kTrain)) ++counts[label];
  EXPECT_EQ(info.class_counts, counts);
}

TEST(SyntheticTest, EveryConversationFitsTheOptions) {
  SyntheticOptions options;
  options.set_num_classes(7);
  options.set_num_speakers(9);
  options.set_min_length(1);
  options.set_mean_length(10);
  options.set_max_length(33);
  auto* text = options.add_modalities();
  text->set_name("text");
  text->set_width(5);
  text->set_streams(4);
  options.add_modalities()->set_name("gaze");
  const auto dataset = MustCreate(options);
  std::vector<bool> speakers(9, false);
  std::vector<bool> classes(7, false);
  std::vector<Conversation> conversations;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    conversations.push_back(dataset->Get(i).value());
    const Conversation& conversation = conversations.back();
    EXPECT_GE(conversation.length(), 1);
    EXPECT_LE(conversation.length(), 33);
    ASSERT_EQ(conversation.features.size(), 2u);
    ASSERT_EQ(conversation.features[0].size(), 4u);
    EXPECT_EQ(conversation.features[0][3].sizes(), torch::IntArrayRef({conversation.length(), 5}));
    EXPECT_EQ(conversation.features[1][0].sizes(), torch::IntArrayRef({conversation.length(), 16}));
    for (int64_t u = 0; u < conversation.length(); ++u) {
      speakers.at(conversation.speakers[u].item<int64_t>()) = true;
      classes.at(conversation.labels[u].item<int64_t>()) = true;
    }
  }
  EXPECT_EQ(std::count(speakers.begin(), speakers.end(), true), 9);
  EXPECT_EQ(std::count(classes.begin(), classes.end(), true), 7);
  const absl::Status status =
      ValidateBatch(MakeBatch(conversations, dataset->info()), dataset->info());
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(dataset->Get(dataset->size()).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(dataset->Get(-1).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(SyntheticTest, MeanLengthAndFeatureScaleComeOut) {
  SyntheticOptions options = Large();
  options.set_min_length(8);
  options.set_mean_length(49);
  options.set_max_length(110);
  const auto dataset = MustCreate(options);
  const int64_t utterances = static_cast<int64_t>(Labels(*dataset, Split::kTrain).size());
  // The deviation of a length is 31, of the mean of 400 so 1.6: four of these.
  EXPECT_NEAR(static_cast<double>(utterances) / 400, 49, 6.4);
  std::vector<torch::Tensor> features;
  for (const int64_t index : dataset->split(Split::kTrain)) {
    features.push_back(dataset->Get(index)->features[0][0]);
  }
  // Expected 1; the cells' few vectors (3 of 32 entries) make it vary by some 10 % between seeds.
  EXPECT_NEAR(torch::cat(features).square().mean().item<double>(), 1, 0.3);
}

TEST(SyntheticTest, SameOptionsSameBitsOtherSeedOtherBits) {
  SyntheticOptions options;
  const auto first = MustCreate(options);
  const auto second = MustCreate(options);
  options.set_seed(2);
  const auto other = MustCreate(options);
  for (int64_t i = 0; i < first->size(); ++i) {
    const Conversation a = first->Get(i).value();
    const Conversation b = second->Get(i).value();
    EXPECT_TRUE(torch::equal(a.labels, b.labels));
    EXPECT_TRUE(torch::equal(a.speakers, b.speakers));
    for (size_t m = 0; m < a.features.size(); ++m) {
      EXPECT_TRUE(torch::equal(a.features[m][0], b.features[m][0]));
    }
  }
  EXPECT_FALSE(torch::equal(first->Get(0)->features[0][0][0], other->Get(0)->features[0][0][0]));
}

// Pinned, so that another machine, compiler or version that generates other data is noticed.
TEST(SyntheticTest, NumbersArePinned) {
  PortableRandom random(1, 2);
  const double uniform = random.Uniform();
  const int64_t below = random.Below(1000);
  const float normal = random.Normal();
  EXPECT_EQ(uniform, 0.76764132836155452);
  EXPECT_EQ(below, 461);
  EXPECT_EQ(normal, 1.84819031f);

  const auto dataset = MustCreate({});
  const Conversation conversation = dataset->Get(0).value();
  EXPECT_EQ(conversation.length(), 18);
  EXPECT_EQ(conversation.features[0][0][0][0].item<float>(), 1.04328942f);
}

TEST(SyntheticTest, NormalHasMeanZeroAndDeviationOne) {
  PortableRandom random(5, 0);
  const int64_t count = 100000;
  double sum = 0;
  double squares = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double value = random.Normal();
    sum += value;
    squares += value * value;
  }
  // Four deviations of the estimates: 1 / sqrt(n) and sqrt(2 / n).
  EXPECT_NEAR(sum / count, 0, 4 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1, 4 * std::sqrt(2.0 / count));
}

// Noise 0 shows which cell every modality is in, so a disagreeing utterance can be seen.
TEST(SyntheticTest, DisagreementIsTheShareAskedFor) {
  for (const double want : {0.0, 0.2, 1.0}) {
    SyntheticOptions options = Large();
    options.set_noise(0);
    options.set_disagreement(want);
    const auto dataset = MustCreate(options);
    // The features of class c in modality m are those of most utterances of class c.
    int64_t total = 0;
    int64_t odd = 0;
    std::vector<std::vector<torch::Tensor>> of_class(6);  // [class] -> rows of all modalities
    for (const int64_t index : dataset->split(Split::kTrain)) {
      const Conversation conversation = dataset->Get(index).value();
      const torch::Tensor all = torch::cat(
          {conversation.features[0][0], conversation.features[1][0], conversation.features[2][0]},
          1);
      for (int64_t u = 0; u < conversation.length(); ++u) {
        of_class[conversation.labels[u].item<int64_t>()].push_back(all[u]);
      }
    }
    for (const std::vector<torch::Tensor>& rows : of_class) {
      const torch::Tensor stacked = torch::stack(rows);
      // With every utterance off in one of three modalities, the median still is the honest value.
      const torch::Tensor honest = std::get<0>(stacked.median(0));
      odd += (stacked - honest).abs().amax(1).gt(0).sum().item<int64_t>();
      total += stacked.size(0);
    }
    // Four deviations of a share estimated from n utterances.
    const double slack = 4 * std::sqrt(want * (1 - want) / static_cast<double>(total));
    EXPECT_NEAR(static_cast<double>(odd) / static_cast<double>(total), want, slack);
  }
}

// Rows of features of a split: the modalities listed, and with them the mean of the utterances up
// to two before and after when `window`.
torch::Tensor Rows(const Dataset& dataset, Split split, const std::vector<int>& modalities,
                   bool window) {
  std::vector<torch::Tensor> rows;
  for (const int64_t index : dataset.split(split)) {
    const Conversation conversation = dataset.Get(index).value();
    std::vector<torch::Tensor> columns;
    for (const int m : modalities) columns.push_back(conversation.features[m][0]);
    torch::Tensor own = torch::cat(columns, 1).to(torch::kFloat64);
    if (window) {
      const torch::Tensor position = torch::arange(own.size(0));
      const torch::Tensor distance = (position.unsqueeze(0) - position.unsqueeze(1)).abs();
      torch::Tensor near = distance.ge(1).logical_and(distance.le(2)).to(torch::kFloat64);
      near = near / near.sum(1, true).clamp_min(1);
      own = torch::cat({own, near.matmul(own)}, 1);
    }
    rows.push_back(torch::cat({own, torch::ones({own.size(0), 1}, torch::kFloat64)}, 1));
  }
  return torch::cat(rows);
}

// Accuracy on the test split of a linear least-squares classifier.
double Accuracy(const Dataset& dataset, const std::vector<int>& modalities, bool window = false) {
  const torch::Tensor x = Rows(dataset, Split::kTrain, modalities, window);
  const torch::Tensor labels = torch::tensor(Labels(dataset, Split::kTrain));
  const torch::Tensor y = torch::one_hot(labels, dataset.info().num_classes()).to(torch::kFloat64);
  const torch::Tensor ridge = torch::eye(x.size(1), torch::kFloat64);
  const torch::Tensor weights = torch::linalg_solve(x.t().matmul(x) + ridge, x.t().matmul(y));
  const torch::Tensor predicted =
      Rows(dataset, Split::kTest, modalities, window).matmul(weights).argmax(1);
  return predicted.eq(torch::tensor(Labels(dataset, Split::kTest)))
      .to(torch::kFloat64)
      .mean()
      .item<double>();
}

TEST(SyntheticTest, NeedsSeveralModalitiesAndContext) {
  const auto dataset = MustCreate(Large());
  const double single =
      std::max({Accuracy(*dataset, {0}), Accuracy(*dataset, {1}), Accuracy(*dataset, {2})});
  const double all = Accuracy(*dataset, {0, 1, 2});
  const double context = Accuracy(*dataset, {0, 1, 2}, true);
  RecordProperty("single", std::to_string(single));
  RecordProperty("all", std::to_string(all));
  RecordProperty("context", std::to_string(context));
  // Six classes: chance is 0.17. Accuracies over 4800 utterances are known to 0.007.
  EXPECT_GT(single, 0.25);
  EXPECT_GT(all, single + 0.1) << "single " << single << ", all " << all;
  EXPECT_GT(context, all + 0.05) << "all " << all << ", with context " << context;
  EXPECT_LT(context, 0.95);
}

TEST(SyntheticTest, WithoutPersistenceContextDoesNotHelp) {
  SyntheticOptions options = Large();
  options.set_persistence(0);
  options.set_contagion(0);
  const auto dataset = MustCreate(options);
  EXPECT_NEAR(Accuracy(*dataset, {0, 1, 2}, true), Accuracy(*dataset, {0, 1, 2}), 0.03);
}

TEST(SyntheticTest, SmallestOptionsWork) {
  SyntheticOptions options;
  options.set_train_conversations(1);
  options.set_valid_conversations(0);
  options.set_test_conversations(1);
  options.set_min_length(1);
  options.set_mean_length(1);
  options.set_max_length(1);
  options.set_num_classes(2);
  options.set_num_speakers(1);
  auto* modality = options.add_modalities();
  modality->set_name("text");
  modality->set_width(1);
  const auto dataset = MustCreate(options);
  EXPECT_EQ(dataset->size(), 2);
  EXPECT_TRUE(dataset->split(Split::kValid).empty());
  EXPECT_EQ(dataset->Get(0)->length(), 1);
  EXPECT_TRUE(torch::isfinite(dataset->Get(0)->features[0][0]).all().item<bool>());
}

TEST(SyntheticTest, AllBadOptionsAreNamedAtOnce) {
  SyntheticOptions options;
  options.set_train_conversations(0);
  options.set_num_classes(1);
  options.set_noise(std::nan(""));
  options.add_modalities()->set_width(0);
  EXPECT_EQ(Create(options).status(),
            absl::InvalidArgumentError(
                "cmerc.SyntheticOptions: train_conversations = 0, must be in [1, 1e+06]; "
                "cmerc.SyntheticOptions: num_classes = 1, must be in [2, 1000]; "
                "cmerc.SyntheticOptions: modalities[0].width = 0, must be in [1, 65536]; "
                "cmerc.SyntheticOptions: noise = nan, must be finite and in [0, 1000]"));
  options.Clear();
  options.set_mean_length(30);
  options.set_persistence(0.9);
  options.add_modalities();
  options.add_modalities()->set_name("text");
  options.add_modalities()->set_name("text");
  EXPECT_EQ(Create(options).status(),
            absl::InvalidArgumentError(
                "cmerc.SyntheticOptions: persistence + contagion = 1.15, must be <= 1; "
                "min_length, mean_length, max_length = 6, 30, 20, must not decrease; "
                "modalities[0].name is not set, must be \"text\", \"audio\", ...; "
                "modalities[2].name = \"text\" is used twice, must be unique"));
}

}  // namespace
}  // namespace cmerc
