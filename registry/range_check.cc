#include "registry/range_check.h"

#include <google/protobuf/text_format.h>

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cmerc {
namespace {

using google::protobuf::Any;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

using Report = absl::FunctionRef<void(std::string)>;
using VisitAny = absl::FunctionRef<void(const Any&, const FieldDescriptor&, const std::string&)>;

// The value of a field, or its entry `index` where it is repeated; nothing if it is no number. A
// double will do for every number, since no range tells apart integers beyond 2^53.
std::optional<double> NumberValue(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return repeated ? reflection.GetRepeatedInt32(message, &field, index)
                      : reflection.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return repeated ? reflection.GetRepeatedUInt32(message, &field, index)
                      : reflection.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<double>(repeated ? reflection.GetRepeatedInt64(message, &field, index)
                                          : reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return static_cast<double>(repeated ? reflection.GetRepeatedUInt64(message, &field, index)
                                          : reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return repeated ? reflection.GetRepeatedFloat(message, &field, index)
                      : reflection.GetFloat(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return repeated ? reflection.GetRepeatedDouble(message, &field, index)
                      : reflection.GetDouble(message, &field);
    default:
      return std::nullopt;
  }
}

// Checks one value: that of `field`, or its entry `index` where it is repeated.
void CheckValue(const Message& message, const FieldDescriptor& field, int index,
                const std::string& path, Report report, VisitAny visit_any) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    const Reflection& reflection = *message.GetReflection();
    const Message& value = field.is_repeated()
                               ? reflection.GetRepeatedMessage(message, &field, index)
                               : reflection.GetMessage(message, &field);
    const auto* any = dynamic_cast<const Any*>(&value);
    if (any != nullptr) {
      visit_any(*any, field, path);
    } else {
      CheckRanges(value, path, report, visit_any);
    }
    return;
  }
  const std::optional<double> value = NumberValue(message, field, index);
  if (!value.has_value()) return;
  const bool finite = std::isfinite(*value);
  const Range& range = field.options().GetExtension(cmerc::range);
  if (finite && InRange(*value, range)) return;
  std::string text;
  google::protobuf::TextFormat::PrintFieldValueToString(message, &field, index, &text);
  const std::string allowed = RangeText(range);
  report(absl::StrCat(path, " = ", text, ", must be ", finite ? "" : "finite",
                      finite || allowed.empty() ? "" : " and ", allowed));
}

}  // namespace

bool InRange(double value, const Range& range) {
  return (!range.has_min() || value >= range.min()) && (!range.has_max() || value <= range.max()) &&
         (!range.has_above() || value > range.above()) &&
         (!range.has_below() || value < range.below());
}

std::string RangeText(const Range& range) {
  const std::string low = range.has_min()     ? absl::StrCat("[", range.min())
                          : range.has_above() ? absl::StrCat("(", range.above())
                                              : "";
  const std::string high = range.has_max()     ? absl::StrCat(range.max(), "]")
                           : range.has_below() ? absl::StrCat(range.below(), ")")
                                               : "";
  if (!low.empty() && !high.empty()) return absl::StrCat("in ", low, ", ", high);
  if (range.has_min()) return absl::StrCat(">= ", range.min());
  if (range.has_above()) return absl::StrCat("> ", range.above());
  if (range.has_max()) return absl::StrCat("<= ", range.max());
  if (range.has_below()) return absl::StrCat("< ", range.below());
  return "";
}

void CheckRanges(const Message& message, const std::string& path, Report report,
                 VisitAny visit_any) {
  const Reflection& reflection = *message.GetReflection();
  const std::string prefix = path.empty() ? "" : path + ".";
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string field_path = prefix + field->name();
    if (!field->is_repeated()) {
      CheckValue(message, *field, -1, field_path, report, visit_any);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      CheckValue(message, *field, i, absl::StrCat(field_path, "[", i, "]"), report, visit_any);
    }
  }
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->is_required() && !reflection.HasField(message, field)) {
      report(absl::StrCat(prefix, field->name(), " is missing"));
    }
  }
}

absl::Status CheckRanges(const Message& options) {
  std::vector<std::string> problems;
  CheckRanges(
      options, "",
      [&](const std::string& problem) {
        problems.push_back(absl::StrCat(options.GetTypeName(), ": ", problem));
      },
      [](const Any&, const FieldDescriptor&, const std::string&) {});
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(problems, "; "));
}

}  // namespace cmerc
