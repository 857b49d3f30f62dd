#include "datasets/export.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/json_lines.h"
#include "datasets/formats/npz.h"
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

// In the order of kTrainAndValid, then kTest.
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

// Calls `write` with every conversation as a record.
absl::Status ForEachRecord(
    const Dataset& dataset, OnConversation progress,
    absl::FunctionRef<absl::Status(const ConversationRecord& record)> write) {
  int64_t done = 0;
  for (const Item& item : ItemsOf(dataset)) {
    const absl::StatusOr<Conversation> conversation = dataset.Get(item.index);
    if (!conversation.ok()) return conversation.status();
    ConversationRecord record = RecordOf(*conversation, dataset.info());
    record.set_split(item.split);
    if (item.position.has_value()) record.set_position(*item.position);
    const absl::Status status = write(record);
    if (!status.ok()) return status;
    progress(++done);
  }
  return absl::OkStatus();
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
    utterance->set_label(info.class_names[labels.data_ptr<int64_t>()[i]]);
    if (!conversation.utterances.empty()) utterance->set_text(conversation.utterances[i]);
  }
  for (size_t m = 0; m < info.modalities.size(); ++m) {
    ConversationRecord::Modality* modality = record.add_modalities();
    modality->set_name(info.modalities[m].name);
    modality->set_width(static_cast<int32_t>(info.modalities[m].width));
    const std::vector<torch::Tensor>& streams = conversation.features[m];
    for (size_t s = 0; s < streams.size(); ++s) {
      ConversationRecord::Stream* stream = modality->add_streams();
      if (s > 0 && streams[s].is_same(streams[s - 1])) {
        stream->set_same_as_previous(true);
        continue;
      }
      const torch::Tensor contiguous = streams[s].contiguous();
      const absl::Span<const float> values = Values(contiguous);
      stream->mutable_values()->Add(values.begin(), values.end());
    }
  }
  ShareEqualStreams(&record);
  return record;
}

absl::Status WriteRecords(const Dataset& dataset, const ByteSink& sink, OnConversation progress) {
  const absl::StatusOr<std::unique_ptr<RecordFileWriter>> writer =
      RecordFileWriter::Create(SchemaOf(dataset.info()), sink);
  if (!writer.ok()) return writer.status();
  const absl::Status status =
      ForEachRecord(dataset, progress,
                    [&](const ConversationRecord& record) { return (*writer)->Write(record); });
  return status.ok() ? (*writer)->Finish() : status;
}

absl::Status WriteJsonLines(const Dataset& dataset, const ByteSink& sink, OnConversation progress) {
  return ForEachRecord(dataset, progress, [&](const ConversationRecord& record) {
    const absl::Status status = CheckRecord(record);
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("conversation ", record.id(), ": ", status.message()));
    }
    return sink(ConversationToJson(record) + "\n");
  });
}

absl::Status WriteNpz(const Dataset& dataset, const ByteSink& sink, OnConversation progress) {
  const DatasetInfo& info = dataset.info();
  std::vector<Conversation> conversations;
  std::vector<int64_t> labels, speakers, lengths;
  std::vector<std::string> ids, splits;
  for (const Item& item : ItemsOf(dataset)) {
    absl::StatusOr<Conversation> conversation = dataset.Get(item.index);
    if (!conversation.ok()) return conversation.status();
    for (const auto& [tensor, all] : {std::pair(conversation->labels.contiguous(), &labels),
                                      {conversation->speakers.contiguous(), &speakers}}) {
      const int64_t* values = tensor.data_ptr<int64_t>();
      all->insert(all->end(), values, values + tensor.numel());
    }
    lengths.push_back(conversation->length());
    ids.push_back(conversation->id);
    splits.push_back(SplitName(item.split));
    conversations.push_back(*std::move(conversation));
    progress(static_cast<int64_t>(conversations.size()));
  }

  NpzWriter writer(sink);
  absl::Status status;
  const auto add = [&](const absl::Status& added) {
    if (status.ok()) status = added;
  };
  add(writer.AddIntegers("labels", labels));
  add(writer.AddIntegers("speakers", speakers));
  add(writer.AddIntegers("lengths", lengths));
  add(writer.AddStrings("ids", ids));
  add(writer.AddStrings("split", splits));
  add(writer.AddStrings("class_names", info.class_names));
  const DatasetSchema schema = SchemaOf(info);
  add(writer.AddStrings("speaker_names", {schema.speakers().begin(), schema.speakers().end()}));
  for (size_t m = 0; m < info.modalities.size() && status.ok(); ++m) {
    const ModalityInfo& modality = info.modalities[m];
    std::vector<int64_t> shape = {static_cast<int64_t>(labels.size())};
    if (modality.num_streams > 1) shape.push_back(modality.num_streams);
    shape.push_back(modality.width);
    add(writer.AddFloats(modality.name, shape, [&](NpzWriter::TakeFloats take) {
      for (const Conversation& conversation : conversations) {
        const torch::Tensor values = torch::stack(conversation.features[m], 1).contiguous();
        take(Values(values));
      }
    }));
  }
  return status.ok() ? writer.Finish() : status;
}

}  // namespace cmerc
