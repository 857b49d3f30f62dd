#include "datasets/export.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "core/streams.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/json_lines.h"
#include "datasets/formats/npz.h"
#include "datasets/formats/npz_conversations.h"
#include "datasets/formats/record_file.h"
#include "torch/types.h"

namespace cmerc {
namespace {

// A conversation of a split.
struct Item {
  int64_t index;  // in the data set
  ConversationRecord::Split split;
  std::optional<int32_t> position;  // where the order of the file is not that of the split
};

// Returns the conversations that are in a split, in the order of kTrainAndValid, then kTest.
std::vector<Item> ItemsOf(const Dataset& dataset) {
  std::map<int64_t, int64_t> place;  // index -> in the file
  for (const Split split : {Split::kTrainAndValid, Split::kTest}) {
    for (const int64_t index : dataset.split(split)) {
      place.emplace(index, static_cast<int64_t>(place.size()));
    }
  }
  std::vector<Item> items(place.size());
  for (const auto& [split, record_split] : {std::pair(Split::kTrain, ConversationRecord::TRAIN),
                                            {Split::kValid, ConversationRecord::VALID},
                                            {Split::kTest, ConversationRecord::TEST}}) {
    const absl::Span<const int64_t> indices = dataset.split(split);
    const bool in_order = std::is_sorted(indices.begin(), indices.end(), [&](int64_t a, int64_t b) {
      return place.at(a) < place.at(b);
    });
    for (size_t i = 0; i < indices.size(); ++i) {
      Item& item = items[place.at(indices[i])];
      item.index = indices[i];
      item.split = record_split;
      if (!in_order) item.position = static_cast<int32_t>(i);
    }
  }
  return items;
}

absl::Span<const float> Values(const torch::Tensor& contiguous) {
  return {contiguous.data_ptr<float>(), static_cast<size_t>(contiguous.numel())};
}

// [n] int64, on the CPU: the utterances that have modality `m`; undefined where all have it.
torch::Tensor RowsPresent(const Conversation& conversation, size_t m) {
  if (!conversation.present.defined()) return torch::Tensor();
  const torch::Tensor present = conversation.present.select(1, static_cast<int64_t>(m));
  return present.all().item<bool>() ? torch::Tensor() : present.nonzero().squeeze(1);
}

// Adds what the utterances of a conversation have of a modality; nothing where none has it.
void AddModality(const Conversation& conversation, size_t m, const ModalityInfo& info,
                 ConversationRecord* record) {
  const torch::Tensor rows = RowsPresent(conversation, m);
  if (rows.defined() && rows.size(0) == 0) return;
  ConversationRecord::Modality* modality = record->add_modalities();
  modality->set_name(info.name);
  modality->set_width(static_cast<int32_t>(info.width));
  if (rows.defined()) {
    const auto has = conversation.present.select(1, static_cast<int64_t>(m)).contiguous();
    for (int64_t i = 0; i < conversation.length(); ++i) {
      if (!has.data_ptr<bool>()[i]) modality->add_absent(static_cast<int32_t>(i));
    }
  }
  const std::vector<torch::Tensor>& streams = conversation.features[m];
  for (size_t s = 0; s < streams.size(); ++s) {
    ConversationRecord::Stream* stream = modality->add_streams();
    if (IsSameAsPrevious(streams, s)) {
      stream->set_same_as_previous(true);
      continue;
    }
    const torch::Tensor contiguous =
        (rows.defined() ? streams[s].index_select(0, rows) : streams[s]).contiguous();
    const absl::Span<const float> values = Values(contiguous);
    stream->mutable_values()->Add(values.begin(), values.end());
  }
}

// Sets the extractors of the modalities of a record or a schema.
template <typename Message>
void SetExtractors(const std::map<std::string, std::string>& extractors, Message* message) {
  for (auto& modality : *message->mutable_modalities()) {
    const auto found = extractors.find(modality.name());
    if (found != extractors.end()) modality.set_extractor(found->second);
  }
}

// Calls `write` with every conversation as a record. Its errors, and those of Dataset::Get(), end
// this.
absl::Status ForEachRecord(
    const Dataset& dataset, OnConversation progress,
    absl::FunctionRef<absl::Status(const ConversationRecord& record)> write) {
  int64_t done = 0;
  const std::map<std::string, std::string> extractors = ExtractorsOf(dataset);
  for (const Item& item : ItemsOf(dataset)) {
    ASSIGN_OR_RETURN(const Conversation conversation, dataset.Get(item.index));
    ConversationRecord record = RecordOf(conversation, dataset.info());
    SetExtractors(extractors, &record);
    record.set_split(item.split);
    if (item.position.has_value()) record.set_position(*item.position);
    RETURN_IF_ERROR(write(record));
    progress(++done);
  }
  return absl::OkStatus();
}

// A data set as an .npz lists it.
struct Columns {
  std::vector<Conversation> conversations;
  // Per utterance.
  std::vector<int64_t> labels;
  std::vector<int64_t> speakers;
  // Per conversation.
  std::vector<int64_t> lengths;
  std::vector<std::string> ids;
  std::vector<std::string> splits;
  // Empty where none has any.
  std::vector<int64_t> positions;
  std::vector<int64_t> numeric_ids;
};

absl::StatusOr<Columns> ReadColumns(const Dataset& dataset, OnConversation progress) {
  Columns columns;
  bool has_positions = false;
  bool has_numeric_ids = false;
  for (const Item& item : ItemsOf(dataset)) {
    ASSIGN_OR_RETURN(Conversation conversation, dataset.Get(item.index));
    for (const auto& [tensor, all] : {std::pair(conversation.labels.contiguous(), &columns.labels),
                                      {conversation.speakers.contiguous(), &columns.speakers}}) {
      const int64_t* values = tensor.data_ptr<int64_t>();
      all->insert(all->end(), values, values + tensor.numel());
    }
    columns.lengths.push_back(conversation.length());
    columns.ids.push_back(conversation.id);
    columns.splits.push_back(SplitName(item.split));
    columns.positions.push_back(item.position.value_or(0));
    has_positions = has_positions || item.position.has_value();
    columns.numeric_ids.push_back(conversation.numeric_id ? 1 : 0);
    has_numeric_ids = has_numeric_ids || conversation.numeric_id;
    columns.conversations.push_back(std::move(conversation));
    progress(static_cast<int64_t>(columns.conversations.size()));
  }
  if (!has_positions) columns.positions.clear();
  if (!has_numeric_ids) columns.numeric_ids.clear();
  return columns;
}

// For each utterance 1, or 0 where it lacks modality `m`; empty where all have it.
std::vector<int64_t> PresentColumn(const std::vector<Conversation>& conversations, size_t m) {
  std::vector<int64_t> column;
  bool is_whole = true;
  for (const Conversation& conversation : conversations) {
    const size_t begin = column.size();
    column.resize(begin + conversation.length(), 1);
    const torch::Tensor rows = RowsPresent(conversation, m);
    if (!rows.defined()) continue;
    is_whole = false;
    const torch::Tensor has = conversation.present.select(1, static_cast<int64_t>(m)).contiguous();
    std::copy_n(has.data_ptr<bool>(), conversation.length(), column.begin() + begin);
  }
  return is_whole ? std::vector<int64_t>() : column;
}

}  // namespace

DatasetSchema SchemaOf(const DatasetInfo& info) {
  DatasetSchema schema;
  schema.set_name(info.name);
  for (const ModalityInfo& modality : info.modalities) {
    DatasetSchema::Modality* entry = schema.add_modalities();
    entry->set_name(modality.name);
    entry->set_width(static_cast<int32_t>(modality.width));
    entry->set_num_streams(static_cast<int32_t>(modality.num_streams));
  }
  for (const std::string& name : info.class_names) schema.add_class_names(name);
  for (int64_t s = 0; s < info.num_speakers; ++s) {
    schema.add_speakers(info.speaker_names.empty() ? absl::StrCat(s) : info.speaker_names[s]);
  }
  return schema;
}

ConversationRecord RecordOf(const Conversation& conversation, const DatasetInfo& info) {
  ConversationRecord record;
  record.set_id(conversation.id);
  if (conversation.numeric_id) record.set_numeric_id(true);
  const torch::Tensor speakers = conversation.speakers.contiguous();
  const torch::Tensor labels = conversation.labels.contiguous();
  for (int64_t i = 0; i < conversation.length(); ++i) {
    ConversationRecord::Utterance* utterance = record.add_utterances();
    const int64_t speaker = speakers.data_ptr<int64_t>()[i];
    utterance->set_speaker(info.speaker_names.empty() ? absl::StrCat(speaker)
                                                      : info.speaker_names[speaker]);
    const int64_t label = labels.data_ptr<int64_t>()[i];
    if (label != kUnlabelled) utterance->set_label(info.class_names[label]);
    if (!conversation.utterances.empty()) utterance->set_text(conversation.utterances[i]);
  }
  for (size_t m = 0; m < info.modalities.size(); ++m) {
    AddModality(conversation, m, info.modalities[m], &record);
  }
  ShareEqualStreams(&record);
  return record;
}

absl::Status WriteRecords(const Dataset& dataset, const ByteSink& sink, OnConversation progress) {
  DatasetSchema schema = SchemaOf(dataset.info());
  SetExtractors(ExtractorsOf(dataset), &schema);
  ASSIGN_OR_RETURN(const std::unique_ptr<RecordFileWriter> writer,
                   RecordFileWriter::Create(schema, sink));
  RETURN_IF_ERROR(ForEachRecord(
      dataset, progress, [&](const ConversationRecord& record) { return writer->Write(record); }));
  return writer->Finish();
}

absl::Status WriteJsonLines(const Dataset& dataset, const ByteSink& sink, OnConversation progress) {
  return ForEachRecord(dataset, progress, [&](const ConversationRecord& record) {
    RETURN_IF_ERROR(Annotate(CheckRecord(record), absl::StrCat("conversation ", record.id())));
    return sink(ConversationToJson(record) + "\n");
  });
}

absl::Status WriteNpz(const Dataset& dataset, const ByteSink& sink, OnConversation progress) {
  ASSIGN_OR_RETURN(const Columns columns, ReadColumns(dataset, progress));
  const DatasetInfo& info = dataset.info();
  const DatasetSchema schema = SchemaOf(info);
  NpzWriter writer(sink);
  RETURN_IF_ERROR(writer.AddIntegers("labels", columns.labels));
  RETURN_IF_ERROR(writer.AddIntegers("speakers", columns.speakers));
  RETURN_IF_ERROR(writer.AddIntegers("lengths", columns.lengths));
  RETURN_IF_ERROR(writer.AddStrings("ids", columns.ids));
  RETURN_IF_ERROR(writer.AddStrings("split", columns.splits));
  RETURN_IF_ERROR(writer.AddStrings("class_names", info.class_names));
  RETURN_IF_ERROR(
      writer.AddStrings("speaker_names", {schema.speakers().begin(), schema.speakers().end()}));
  if (!columns.positions.empty()) {
    RETURN_IF_ERROR(writer.AddIntegers("positions", columns.positions));
  }
  if (!columns.numeric_ids.empty()) {
    RETURN_IF_ERROR(writer.AddIntegers("numeric_ids", columns.numeric_ids));
  }
  for (size_t m = 0; m < info.modalities.size(); ++m) {
    const ModalityInfo& modality = info.modalities[m];
    std::vector<int64_t> shape = {static_cast<int64_t>(columns.labels.size())};
    if (modality.num_streams > 1) shape.push_back(modality.num_streams);
    shape.push_back(modality.width);
    RETURN_IF_ERROR(writer.AddFloats(modality.name, shape, [&](NpzWriter::TakeFloats take) {
      for (const Conversation& conversation : columns.conversations) {
        const torch::Tensor values = torch::stack(conversation.features[m], 1).contiguous();
        take(Values(values));
      }
    }));
  }
  for (size_t m = 0; m < info.modalities.size(); ++m) {
    const std::vector<int64_t> present = PresentColumn(columns.conversations, m);
    if (present.empty()) continue;
    RETURN_IF_ERROR(
        writer.AddIntegers(absl::StrCat(kPresentPrefix, info.modalities[m].name), present));
  }
  for (const auto& [modality, extractor] : ExtractorsOf(dataset)) {
    RETURN_IF_ERROR(writer.AddStrings(absl::StrCat(kExtractorPrefix, modality), {extractor}));
  }
  return writer.Finish();
}

}  // namespace cmerc
