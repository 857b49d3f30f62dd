#include "benchmarks/report_table.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace cmerc {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

// What every benchmark has, and what has a column of its own.
const std::set<std::string>& KnownFields() {
  static const auto* const fields =
      new std::set<std::string>{"repetition_index", "repetitions",
                                "threads",          "iterations",
                                "family_index",     "per_family_instance_index",
                                "real_time",        "cpu_time",
                                "s_per_step",       "gflop",
                                "peak_share",       "peak_MB",
                                "items_per_second", "bytes_per_second"};
  return *fields;
}

const Value* Find(const Struct& object, const std::string& name) {
  const auto found = object.fields().find(name);
  return found == object.fields().end() ? nullptr : &found->second;
}

std::string Text(const Struct& object, const std::string& name) {
  const Value* value = Find(object, name);
  return value == nullptr ? "" : value->string_value();
}

// "" where there is none.
std::string Number(const Struct& object, const std::string& name, double factor,
                   const absl::ParsedFormat<'g'>& format) {
  const Value* value = Find(object, name);
  if (value == nullptr || value->kind_case() != Value::kNumberValue) return "";
  return absl::StrFormat(format, value->number_value() * factor);
}

double SecondsPer(const std::string& unit) {
  if (unit == "ns") return 1e-9;
  if (unit == "us") return 1e-6;
  if (unit == "ms") return 1e-3;
  return 1;
}

std::string Others(const Struct& benchmark) {
  std::map<std::string, std::string> others;
  for (const auto& [name, value] : benchmark.fields()) {
    if (value.kind_case() != Value::kNumberValue || KnownFields().count(name) > 0) continue;
    others[name] = absl::StrFormat("%s %.4g", name, value.number_value());
  }
  std::vector<std::string> parts;
  for (const auto& [name, text] : others) parts.push_back(text);
  if (!Text(benchmark, "label").empty()) parts.push_back(Text(benchmark, "label"));
  return absl::StrJoin(parts, ", ");
}

std::string Rate(const Struct& benchmark) {
  const std::string bytes =
      Number(benchmark, "bytes_per_second", 1e-6, absl::ParsedFormat<'g'>("%.4g MB"));
  return bytes.empty() ? Number(benchmark, "items_per_second", 1, absl::ParsedFormat<'g'>("%.4g"))
                       : bytes;
}

}  // namespace

std::string TableHead() {
  return "| component | benchmark | seconds | GFLOP | share of peak | memory, MB | per second | "
         "other |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n";
}

absl::StatusOr<std::string> TableRows(const std::string& component, const std::string& json) {
  Struct document;
  const auto parsed = google::protobuf::util::JsonStringToMessage(json, &document);
  const Value* benchmarks = parsed.ok() ? Find(document, "benchmarks") : nullptr;
  if (benchmarks == nullptr || !benchmarks->has_list_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(component, " wrote no report of Google Benchmark: ",
                     parsed.ok() ? "there is no list \"benchmarks\"" : parsed.ToString()));
  }
  std::string rows;
  for (const Value& entry : benchmarks->list_value().values()) {
    const Struct& benchmark = entry.struct_value();
    const std::string name = absl::StrReplaceAll(
        absl::StripSuffix(Text(benchmark, "name"), "/real_time"), {{"|", "\\|"}});
    const std::string error = Text(benchmark, "error_message");
    if (!error.empty()) {
      absl::StrAppend(&rows, "| ", component, " | ", name,
                      " | failed: ", absl::StrReplaceAll(error, {{"|", "\\|"}, {"\n", " "}}),
                      " | | | | | |\n");
      continue;
    }
    // What a step takes says more than a pass over several.
    std::string seconds =
        Number(benchmark, "s_per_step", 1, absl::ParsedFormat<'g'>("%.4g a step"));
    if (seconds.empty()) {
      seconds = Number(benchmark, "real_time", SecondsPer(Text(benchmark, "time_unit")),
                       absl::ParsedFormat<'g'>("%.4g"));
    }
    absl::StrAppend(
        &rows, "| ",
        absl::StrJoin({component, name, seconds,
                       Number(benchmark, "gflop", 1, absl::ParsedFormat<'g'>("%.4g")),
                       Number(benchmark, "peak_share", 100, absl::ParsedFormat<'g'>("%.3g %%")),
                       Number(benchmark, "peak_MB", 1, absl::ParsedFormat<'g'>("%.4g")),
                       Rate(benchmark), Others(benchmark)},
                      " | "),
        " |\n");
  }
  return rows;
}

}  // namespace cmerc
