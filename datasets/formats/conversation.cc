#include "datasets/formats/conversation.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "core/status.h"
#include "datasets/formats/finite.h"
#include "datasets/formats/json_cursor.h"
#include "datasets/formats/utf8.h"
#include "registry/nearest_name.h"

namespace cmerc {
namespace {

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status TooManyModalities(int count) {
  return Bad("there are ", count, " modalities, want at most ", kMaxModalities);
}

// Whether `text` is an integer as JSON writes one, of any length.
bool IsInteger(absl::string_view text) {
  absl::ConsumePrefix(&text, "-");
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
         (text[0] != '0' || text.size() == 1);
}

// Returns a list of names for a message, cut short: "a, b, ... (40)".
std::string Known(const std::vector<std::string>& names) {
  constexpr size_t kShown = 12;
  const std::vector<std::string> shown(names.begin(),
                                       names.begin() + std::min(names.size(), kShown));
  return absl::StrCat(absl::StrJoin(shown, ", "),
                      names.size() > kShown ? absl::StrCat(", ... (", names.size(), ")") : "");
}

absl::Status UnknownName(absl::string_view place, absl::string_view name,
                         const std::vector<std::string>& names) {
  const std::string nearest = NearestName(name, names);
  return Bad(place, " is \"", name, "\", want one of ", Known(names),
             nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?"));
}

// Names a stream of a modality as the message of a JSON line would.
std::string Place(int64_t utterance, const ConversationRecord::Modality& modality, int stream) {
  return absl::StrCat("utterances[", utterance, "].features.", modality.name(),
                      modality.streams_size() > 1 ? absl::StrCat("[", stream, "]") : "");
}

// Returns the utterance that a row of a modality's streams is of.
int64_t UtteranceOf(int64_t row, const ConversationRecord::Modality& modality) {
  for (const int absent : modality.absent()) {
    if (absent > row) break;
    ++row;
  }
  return row;
}

// Checks what an object of JSON carries along beside its own `fields`; `place` begins the messages:
// "", "utterances[3].".
absl::Status CheckExtras(
    const google::protobuf::RepeatedPtrField<ConversationRecord::Extra>& extras,
    const std::set<absl::string_view>& fields, const std::string& place) {
  std::set<absl::string_view> keys;
  for (const ConversationRecord::Extra& extra : extras) {
    if (!datasets::IsUtf8(extra.key())) return Bad(place, "extras has a key that is not UTF-8");
    const std::string key = absl::CHexEscape(extra.key());
    if (fields.count(extra.key()) > 0 || !keys.insert(extra.key()).second) {
      return Bad(place, key, " occurs twice");
    }
    datasets::JsonCursor json(extra.json());
    std::string value;
    if (!json.ReadValue(&value) || !json.ReadEnd() || value != extra.json()) {
      return Bad(place, key, " is carried along, want a value of JSON on one line",
                 json.error().empty() ? "" : absl::StrCat(": ", json.error()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNumericId(const std::string& id, const std::string& place) {
  if (IsInteger(id)) return absl::OkStatus();
  return Bad(place, "id is \"", absl::CHexEscape(id), "\", want an integer, as it is a number");
}

absl::Status CheckUtterance(const ConversationRecord::Utterance& utterance,
                            const std::string& place) {
  static const auto* fields =
      new std::set<absl::string_view>{"id", "speaker", "label", "text", "features"};
  if (utterance.speaker().empty()) return Bad(place, "speaker is missing, want a name");
  if (utterance.has_label() && utterance.label().empty()) {
    return Bad(place, "label is empty, want a name");
  }
  if (utterance.has_id() && utterance.id().empty()) return Bad(place, "id is empty, want a name");
  if (utterance.numeric_id()) RETURN_IF_ERROR(CheckNumericId(utterance.id(), place));
  for (const auto& [field, value] : {std::pair("id", &utterance.id()),
                                     {"speaker", &utterance.speaker()},
                                     {"label", &utterance.label()},
                                     {"text", &utterance.text()}}) {
    if (!datasets::IsUtf8(*value)) return Bad(place, field, " is not UTF-8");
  }
  return CheckExtras(utterance.extras(), *fields, place);
}

// Checks that the utterances without a modality are some of `length`, and not all.
absl::Status CheckAbsent(const ConversationRecord::Modality& modality, int64_t length) {
  int last = -1;
  for (const int absent : modality.absent()) {
    if (absent <= last || absent >= length) {
      return Bad("features.", modality.name(), ": absent has ", absent, " behind ", last,
                 ", want ascending positions of the ", length, " utterances");
    }
    last = absent;
  }
  if (modality.absent_size() < length) return absl::OkStatus();
  return Bad("features.", modality.name(), " is absent of all utterances, want it left out");
}

// Checks the extractor of a modality, where it has one.
template <typename Modality>
absl::Status CheckExtractor(const Modality& modality) {
  if (!modality.has_extractor()) return absl::OkStatus();
  const std::string place = absl::StrCat("extractors.", modality.name());
  if (modality.extractor().empty()) return Bad(place, " is empty, want a name and a version");
  if (!datasets::IsUtf8(modality.extractor())) return Bad(place, " is not UTF-8");
  return absl::OkStatus();
}

template <typename Modalities>
std::map<std::string, std::string> ExtractorsOfAll(const Modalities& modalities) {
  std::map<std::string, std::string> extractors;
  for (const auto& modality : modalities) {
    if (modality.has_extractor()) extractors[modality.name()] = modality.extractor();
  }
  return extractors;
}

absl::Status CheckModality(const ConversationRecord::Modality& modality, int64_t length) {
  if (modality.name().empty()) return Bad("a modality has no name");
  if (!datasets::IsUtf8(modality.name())) return Bad("the name of a modality is not UTF-8");
  if (modality.width() < 1) {
    return Bad("features.", modality.name(), " has width ", modality.width(), ", want >= 1");
  }
  if (modality.streams_size() == 0) {
    return Bad("features.", modality.name(), " has no streams, want >= 1");
  }
  if (modality.streams_size() > kMaxStreams) {
    return Bad("features.", modality.name(), " has ", modality.streams_size(),
               " streams, want at most ", kMaxStreams);
  }
  RETURN_IF_ERROR(CheckExtractor(modality));
  RETURN_IF_ERROR(CheckAbsent(modality, length));
  const int64_t rows = length - modality.absent_size();
  for (int s = 0; s < modality.streams_size(); ++s) {
    const ConversationRecord::Stream& stream = modality.streams(s);
    if (stream.same_as_previous()) {
      if (s > 0 && stream.values().empty()) continue;
      return Bad("features.", modality.name(), ": stream ", s, " repeats the one before, but ",
                 s == 0 ? "is the first" : "has values");
    }
    if (stream.values_size() != rows * modality.width()) {
      return Bad("features.", modality.name(), ": stream ", s, " has ", stream.values_size(),
                 " values, want ", rows * modality.width(), " for ", rows, " utterances of width ",
                 modality.width());
    }
    if (datasets::AllFinite(stream.values())) continue;
    const float* begin = stream.values().data();
    const float* end = begin + stream.values_size();
    const float* bad = std::find_if_not(begin, end, [](float v) { return std::isfinite(v); });
    const int64_t position = bad - begin;
    return Bad(Place(UtteranceOf(position / modality.width(), modality), modality, s), "[",
               position % modality.width(), "] is ", *bad, ", want a finite number");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Span<const float> StreamValues(const ConversationRecord::Modality& modality, int stream) {
  while (stream > 0 && modality.streams(stream).same_as_previous()) --stream;
  return modality.streams(stream).values();
}

std::vector<int> RowsOf(const ConversationRecord::Modality& modality, int length) {
  std::vector<int> rows(length, 0);
  for (const int absent : modality.absent()) rows[absent] = -1;
  int next = 0;
  for (int& row : rows) {
    if (row == 0) row = next++;
  }
  return rows;
}

void ShareEqualStreams(ConversationRecord* record) {
  for (ConversationRecord::Modality& modality : *record->mutable_modalities()) {
    for (int s = modality.streams_size() - 1; s > 0; --s) {
      const auto& before = modality.streams(s - 1).values();
      auto& stream = *modality.mutable_streams(s);
      // Bits, so that -0 stays -0.
      if (stream.same_as_previous() || stream.values_size() != before.size() ||
          std::memcmp(stream.values().data(), before.data(), before.size() * sizeof(float)) != 0) {
        continue;
      }
      stream.clear_values();
      stream.set_same_as_previous(true);
    }
  }
}

const ConversationRecord::Modality* FindModality(const ConversationRecord& record,
                                                 absl::string_view name) {
  for (const ConversationRecord::Modality& modality : record.modalities()) {
    if (modality.name() == name) return &modality;
  }
  return nullptr;
}

std::map<std::string, std::string> ExtractorsOf(const ConversationRecord& record) {
  return ExtractorsOfAll(record.modalities());
}

std::map<std::string, std::string> ExtractorsOf(const DatasetSchema& schema) {
  return ExtractorsOfAll(schema.modalities());
}

absl::Status CheckRecord(const ConversationRecord& record) {
  if (record.id().empty()) return Bad("id is missing, want a name or a number");
  if (!datasets::IsUtf8(record.id())) return Bad("id is not UTF-8");
  if (record.numeric_id()) RETURN_IF_ERROR(CheckNumericId(record.id(), ""));
  RETURN_IF_ERROR(CheckExtras(
      record.extras(), {"id", "split", "position", "extractors", "utterances"}, /*place=*/""));
  if (record.utterances().empty()) return Bad("utterances is missing or empty, want >= 1");
  for (int i = 0; i < record.utterances_size(); ++i) {
    RETURN_IF_ERROR(CheckUtterance(record.utterances(i), absl::StrCat("utterances[", i, "].")));
  }
  if (record.modalities().empty()) {
    return Bad("utterances[0].features is missing or empty, want a modality, such as \"text\"");
  }
  if (record.modalities_size() > kMaxModalities) return TooManyModalities(record.modalities_size());
  std::set<absl::string_view> names;
  for (const ConversationRecord::Modality& modality : record.modalities()) {
    RETURN_IF_ERROR(CheckModality(modality, record.utterances_size()));
    if (!names.insert(modality.name()).second) {
      return Bad("features.", modality.name(), " occurs twice");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSchema(const DatasetSchema& schema) {
  if (schema.modalities().empty()) return Bad("no modality is listed, want >= 1");
  if (schema.modalities_size() > kMaxModalities) return TooManyModalities(schema.modalities_size());
  std::set<std::string> modalities;
  for (const DatasetSchema::Modality& modality : schema.modalities()) {
    if (modality.name().empty()) return Bad("a modality has no name");
    if (!datasets::IsUtf8(modality.name())) return Bad("the name of a modality is not UTF-8");
    if (!modalities.insert(modality.name()).second) {
      return Bad("modality ", modality.name(), " is listed twice");
    }
    if (modality.width() < 1 || modality.num_streams() < 1) {
      return Bad("modality ", modality.name(), " has width ", modality.width(), " and ",
                 modality.num_streams(), " streams, want >= 1");
    }
    if (modality.num_streams() > kMaxStreams) {
      return Bad("modality ", modality.name(), " has ", modality.num_streams(),
                 " streams, want at most ", kMaxStreams);
    }
    RETURN_IF_ERROR(CheckExtractor(modality));
  }
  for (const auto& [what, names] :
       {std::pair("class_names", &schema.class_names()), {"speakers", &schema.speakers()}}) {
    std::set<std::string> seen;
    for (const std::string& name : *names) {
      if (name.empty()) return Bad(what, " has an empty name");
      if (!datasets::IsUtf8(name)) return Bad(what, " has a name that is not UTF-8");
      if (!seen.insert(name).second) return Bad(what, " has \"", name, "\" twice");
    }
  }
  if (!datasets::IsUtf8(schema.name())) return Bad("the name is not UTF-8");
  return absl::OkStatus();
}

absl::Status CheckFitsSchema(const ConversationRecord& record, const DatasetSchema& schema) {
  return SchemaChecker(schema).Check(record);
}

SchemaChecker::SchemaChecker(const DatasetSchema& schema)
    : schema_(schema),
      classes_(schema.class_names().begin(), schema.class_names().end()),
      speakers_(schema.speakers().begin(), schema.speakers().end()) {}

absl::Status SchemaChecker::Check(const ConversationRecord& record) const {
  std::vector<std::string> modalities;
  for (const DatasetSchema::Modality& want : schema_.modalities()) {
    modalities.push_back(want.name());
    const ConversationRecord::Modality* modality = FindModality(record, want.name());
    if (modality == nullptr) continue;
    const int64_t first = UtteranceOf(0, *modality);
    if (modality->width() != want.width()) {
      return Bad(Place(first, *modality, 0), " has ", modality->width(), " values, want ",
                 want.width());
    }
    if (modality->streams_size() != want.num_streams()) {
      return Bad("utterances[", first, "].features.", want.name(), " has ",
                 modality->streams_size(), " streams, want ", want.num_streams());
    }
    if (modality->has_extractor() && want.has_extractor() &&
        modality->extractor() != want.extractor()) {
      return Bad("extractors.", want.name(), " is \"", modality->extractor(), "\", want \"",
                 want.extractor(),
                 "\" as of the others: features of two extractors are no one modality; extract all "
                 "with the same");
    }
  }
  for (const ConversationRecord::Modality& modality : record.modalities()) {
    if (std::find(modalities.begin(), modalities.end(), modality.name()) == modalities.end()) {
      return UnknownName("a name in utterances[0].features", modality.name(), modalities);
    }
  }
  // For messages.
  const auto all = [](const auto& names) {
    return std::vector<std::string>(names.begin(), names.end());
  };
  for (int i = 0; i < record.utterances_size(); ++i) {
    const ConversationRecord::Utterance& utterance = record.utterances(i);
    if (utterance.has_label() && utterance.label() != kNoLabel && !classes_.empty() &&
        classes_.count(utterance.label()) == 0) {
      return UnknownName(absl::StrCat("utterances[", i, "].label"), utterance.label(),
                         all(schema_.class_names()));
    }
    if (!speakers_.empty() && speakers_.count(utterance.speaker()) == 0) {
      return UnknownName(absl::StrCat("utterances[", i, "].speaker"), utterance.speaker(),
                         all(schema_.speakers()));
    }
  }
  return absl::OkStatus();
}

std::string SplitName(ConversationRecord::Split split) {
  return absl::AsciiStrToLower(ConversationRecord::Split_Name(split));
}

}  // namespace cmerc
