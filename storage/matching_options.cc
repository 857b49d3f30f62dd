#include "storage/matching_options.h"

#include <google/protobuf/descriptor.h>

#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cmerc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Numbers of layers and the like.
constexpr int64_t kMostSmall = 8;

// The integer in a field, of whichever integer type.
int64_t IntegerOf(const Message& message, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return static_cast<int64_t>(reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? 1 : 0;
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.GetEnumValue(message, &field);
    default:
      return 0;
  }
}

void SetInteger(int64_t value, const FieldDescriptor& field, Message* message) {
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(message, &field, static_cast<int32_t>(value));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(message, &field, value);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.SetUInt32(message, &field, static_cast<uint32_t>(value));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(message, &field, static_cast<uint64_t>(value));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(message, &field, value != 0);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnumValue(message, &field, static_cast<int>(value));
    default:
      return;
  }
}

// A field with another value than it has.
struct Change {
  const FieldDescriptor* field;
  int64_t value;
};

// Everything that may be tried, booleans and enums first: there are few.
std::vector<Change> Changes(const Message& options, const std::vector<int64_t>& extents) {
  std::vector<Change> few, many;
  const google::protobuf::Descriptor& type = *options.GetDescriptor();
  for (int f = 0; f < type.field_count(); ++f) {
    const FieldDescriptor& field = *type.field(f);
    if (field.is_repeated()) continue;
    const int64_t now = IntegerOf(options, field);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
      few.push_back({&field, 1 - now});
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      for (int v = 0; v < field.enum_type()->value_count(); ++v) {
        const int number = field.enum_type()->value(v)->number();
        if (number != now) few.push_back({&field, number});
      }
    } else if (field.cpp_type() <= FieldDescriptor::CPPTYPE_UINT64) {
      for (const int64_t value : extents) {
        if (value != now && value > kMostSmall) many.push_back({&field, value});
      }
      // Widths are not as small as this.
      for (int64_t value = 0; value <= kMostSmall && now <= 2 * kMostSmall; ++value) {
        if (value != now) many.push_back({&field, value});
      }
    }
  }
  few.insert(few.end(), many.begin(), many.end());
  return few;
}

// "text_encoder: LSTM graph_width: 16".
std::string Text(const std::map<const FieldDescriptor*, int64_t>& changed) {
  std::map<int, std::string> parts;  // in the order of the fields
  for (const auto& [field, value] : changed) {
    std::string text = absl::StrCat(value);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL) text = value != 0 ? "true" : "false";
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      text = field->enum_type()->FindValueByNumber(static_cast<int>(value))->name();
    }
    parts[field->number()] = absl::StrCat(field->name(), ": ", text);
  }
  return absl::StrJoin(parts, " ",
                       [](std::string* out, const auto& part) { out->append(part.second); });
}

}  // namespace

std::string FindMatchingOptions(const Message& options, const std::vector<int64_t>& extents,
                                int most_models, const CountDifferences& differences) {
  const std::unique_ptr<Message> best(options.New());
  best->CopyFrom(options);
  std::map<const FieldDescriptor*, int64_t> changed;
  std::optional<size_t> fewest = differences(options);
  while (fewest.has_value() && *fewest > 0) {
    std::optional<Change> choice;
    for (const Change& change : Changes(*best, extents)) {
      if (changed.count(change.field) > 0) continue;
      if (most_models-- <= 0) return "";
      const std::unique_ptr<Message> candidate(best->New());
      candidate->CopyFrom(*best);
      SetInteger(change.value, *change.field, candidate.get());
      const std::optional<size_t> count = differences(*candidate);
      if (!count.has_value() || *count >= *fewest) continue;
      fewest = count;
      choice = change;
      if (*count == 0) break;
    }
    if (!choice.has_value()) return "";
    SetInteger(choice->value, *choice->field, best.get());
    changed[choice->field] = choice->value;
  }
  return Text(changed);
}

}  // namespace cmerc
