#include "tests/datasets/official/toy_corpus.h"

#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"

namespace cmerc {

using python::Number;
using python::Text;
using python::Value;

namespace {

std::vector<std::string> TextsOf(const ToyCorpus& toy, const std::vector<int64_t>& conversations) {
  std::vector<std::string> ids;
  for (const int64_t c : conversations) ids.push_back(toy.IdText(c));
  return ids;
}

}  // namespace

std::string ToyCorpus::IdText(int64_t c) const {
  return numeric_ ? absl::StrCat(40 + 7 * c) : absl::StrCat("dlg", c);
}

Value ToyCorpus::Id(int64_t c) const { return numeric_ ? Number(40 + 7 * c) : Text(IdText(c)); }

const std::vector<int64_t>& ToyCorpus::Train() {
  static const auto* ids = new std::vector<int64_t>{7, 0, 4, 2, 9};
  return *ids;
}
const std::vector<int64_t>& ToyCorpus::Valid() {
  static const auto* ids = new std::vector<int64_t>{8, 1};
  return *ids;
}
const std::vector<int64_t>& ToyCorpus::Test() {
  static const auto* ids = new std::vector<int64_t>{6, 3, 5};
  return *ids;
}

Value ToyCorpus::Ids(const std::vector<int64_t>& conversations) const {
  std::vector<Value> ids;
  for (const int64_t c : conversations) ids.push_back(Id(c));
  return python::List(ids);
}

Value ToyCorpus::SetOfIds(const std::vector<int64_t>& conversations) const {
  std::vector<Value> ids;
  for (const int64_t c : conversations) ids.push_back(Id(c));
  return python::Set(ids);
}

Value ToyCorpus::ListOf(int64_t c, const Entry& entry) {
  std::vector<Value> items;
  for (int64_t u = 0; u < Length(c); ++u) items.push_back(entry(c, u));
  return python::List(items);
}

Value ToyCorpus::Table(const Entry& entry) const {
  std::vector<std::pair<Value, Value>> entries;
  for (int64_t c = 0; c < kSize; ++c) entries.emplace_back(Id(c), ListOf(c, entry));
  return python::Dict(entries);
}

Value ToyCorpus::UtteranceId(int64_t c, int64_t u) const {
  return Text(absl::StrCat(IdText(c), "_utt", u));
}

Value ToyCorpus::Letter(int64_t c, int64_t u) { return Text((c + u) % 2 == 0 ? "F" : "M"); }

Value ToyCorpus::OneHot(int64_t c, int64_t u, int64_t width) {
  std::vector<int64_t> row(width, 0);
  row[(2 * c + u) % width] = 1;
  return python::Numbers(row);
}

Value ToyCorpus::Sentence(int64_t c, int64_t u) {
  return Text(absl::StrCat("line ", u, " of conversation ", c));
}

Value ToyCorpus::Row(int64_t modality, int64_t c, int64_t u, int64_t width) {
  std::vector<Value> row;
  for (int64_t k = 0; k < width; ++k) {
    row.push_back(python::Real(static_cast<double>(1000 * modality + 100 * c + 10 * u + k) + 0.5));
  }
  return python::List(row);
}

Value ToyCorpus::UtteranceIds() const {
  return Table([this](int64_t c, int64_t u) { return UtteranceId(c, u); });
}
Value ToyCorpus::Letters() const { return Table(Letter); }
Value ToyCorpus::OneHots(int64_t width) const {
  return Table([width](int64_t c, int64_t u) { return OneHot(c, u, width); });
}
Value ToyCorpus::Sentences() const { return Table(Sentence); }
Value ToyCorpus::Labels(int64_t classes) const {
  return Table([classes](int64_t c, int64_t u) { return Number(Label(c, u, classes)); });
}
Value ToyCorpus::Features(int64_t modality, int64_t width) const {
  return Table([=](int64_t c, int64_t u) { return Row(modality, c, u, width); });
}

torch::Tensor ToyCorpus::Expected(int64_t modality, int64_t c, int64_t width) {
  return static_cast<float>(1000 * modality + 100 * c) + 0.5f +
         10 * torch::arange(Length(c), torch::kFloat32).unsqueeze(1) +
         torch::arange(width, torch::kFloat32).unsqueeze(0);
}

std::vector<std::string> IdsOf(const Dataset& dataset, Split split) {
  std::vector<std::string> ids;
  for (const int64_t index : dataset.split(split)) ids.push_back(dataset.Get(index)->id);
  return ids;
}

Conversation ConversationOf(const Dataset& dataset, const std::string& id) {
  for (int64_t i = 0; i < dataset.size(); ++i) {
    if (dataset.Get(i)->id == id) return dataset.Get(i).value();
  }
  ADD_FAILURE() << "no conversation " << id;
  return {};
}

void ExpectToy(const Dataset& dataset, const ToyCorpus& toy, int64_t classes, bool has_valid,
               const std::vector<std::pair<std::string, std::vector<std::pair<int64_t, int64_t>>>>&
                   modalities) {
  EXPECT_EQ(IdsOf(dataset, Split::kTest), TextsOf(toy, ToyCorpus::Test()));
  std::vector<int64_t> conversations = ToyCorpus::Train();
  if (has_valid) {
    EXPECT_EQ(IdsOf(dataset, Split::kTrain), TextsOf(toy, ToyCorpus::Train()));
    EXPECT_EQ(IdsOf(dataset, Split::kValid), TextsOf(toy, ToyCorpus::Valid()));
    conversations.insert(conversations.end(), ToyCorpus::Valid().begin(), ToyCorpus::Valid().end());
  }
  EXPECT_EQ(IdsOf(dataset, Split::kTrainAndValid), TextsOf(toy, conversations));
  const DatasetInfo& info = dataset.info();
  EXPECT_EQ(info.num_classes(), classes);
  ASSERT_EQ(info.modalities.size(), modalities.size());
  conversations.insert(conversations.end(), ToyCorpus::Test().begin(), ToyCorpus::Test().end());
  for (const int64_t c : conversations) {
    SCOPED_TRACE(toy.IdText(c));
    const Conversation conversation = ConversationOf(dataset, toy.IdText(c));
    ASSERT_EQ(conversation.length(), ToyCorpus::Length(c));
    for (int64_t u = 0; u < ToyCorpus::Length(c); ++u) {
      EXPECT_EQ(conversation.labels[u].item<int64_t>(), ToyCorpus::Label(c, u, classes));
    }
    for (size_t m = 0; m < modalities.size(); ++m) {
      const auto& [name, streams] = modalities[m];
      EXPECT_EQ(info.modalities[m].name, name);
      ASSERT_EQ(conversation.features[m].size(), streams.size());
      for (size_t s = 0; s < streams.size(); ++s) {
        const torch::Tensor want = ToyCorpus::Expected(streams[s].first, c, streams[s].second);
        EXPECT_TRUE(torch::equal(conversation.features[m][s], want))
            << name << ", stream " << s << ": " << conversation.features[m][s] << want;
      }
    }
  }
}

absl::StatusOr<std::unique_ptr<Dataset>> Create(const OfficialPicklesOptions& options) {
  google::protobuf::Any any;
  any.PackFrom(options);
  return Datasets().Create(any);
}

std::unique_ptr<Dataset> MustCreate(const OfficialPicklesOptions& options) {
  auto dataset = Create(options);
  EXPECT_TRUE(dataset.ok()) << dataset.status().message();
  return dataset.ok() ? *std::move(dataset) : nullptr;
}

std::string ErrorOf(const OfficialPicklesOptions& options) {
  const absl::Status status = Create(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

std::string WriteTestFile(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

}  // namespace cmerc
