#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "profile/profiler.h"

namespace cmerc {
namespace {

// A row of the table.
struct Part {
  double seconds = 0;
  double flops = 0;
  double bytes = 0;
  double floor = 0;  // seconds

  void Add(const Part& other) {
    seconds += other.seconds;
    flops += other.flops;
    bytes += other.bytes;
    floor += other.floor;
  }
};

std::string Line(const std::string& name, const Part& part, int steps, double all) {
  const double n = steps;
  std::string line = absl::StrFormat(
      "%-44s %9.2f %6.1f %9.2f %9.1f %9.2f", name.substr(0, 44), part.seconds / n * 1e3,
      100 * part.seconds / all, part.flops / n * 1e-9, part.bytes / n * 1e-6, part.floor / n * 1e3);
  if (part.floor > 0) absl::StrAppendFormat(&line, " %9.1f", part.seconds / part.floor);
  return line + "\n";
}

// "autograd::engine::evaluate_function: MmBackward0" -> "MmBackward0", and "...:
// torch::autograd::CppNode<cmerc::(anonymous namespace)::LayerFunction>" -> "LayerFunction
// backward".
std::string ShortName(const std::string& whole) {
  const std::string name(absl::StripPrefix(whole, "autograd::engine::evaluate_function: "));
  const size_t end = name.find_last_not_of('>');
  const size_t begin = name.rfind(':', end);
  if (name.find("CppNode") == std::string::npos || begin == std::string::npos) return name;
  return name.substr(begin + 1, end - begin) + " backward";
}

}  // namespace

std::string FormatProfile(const std::vector<ProfileEvent>& events, int steps,
                          const MachinePeak& peak) {
  // What each event costs together with its parts. Parts come after the event that they belong to.
  std::vector<Part> costs(events.size());
  for (size_t i = events.size(); i-- > 0;) {
    const ProfileEvent& event = events[i];
    Part& cost = costs[i];
    cost.seconds = static_cast<double>(event.end - event.begin) * 1e-9;
    cost.flops += event.flops;
    cost.bytes += event.bytes;
    cost.floor +=
        std::max(event.flops / peak.flops_per_second, event.bytes / peak.bytes_per_second);
    if (event.parent < 0) continue;
    Part& whole = costs[event.parent];
    whole.flops += cost.flops;
    whole.bytes += cost.bytes;
    whole.floor += cost.floor;
  }
  // The nearest phase above an event, and the part of the phase that it is in.
  std::vector<std::string> order;
  std::map<std::string, Part> phases;
  std::map<std::string, std::map<std::string, Part>> parts;
  Part all;
  for (size_t i = 0; i < events.size(); ++i) {
    const ProfileEvent& event = events[i];
    if (event.parent < 0) {
      if (phases.count(event.name) == 0) order.push_back(event.name);
      phases[event.name].Add(costs[i]);
      all.Add(costs[i]);
    } else if (events[event.parent].parent < 0) {
      parts[events[event.parent].name][ShortName(event.name)].Add(costs[i]);
    }
  }
  std::string text = absl::StrFormat("%-44s %9s %6s %9s %9s %9s %9s\n", "per step", "ms", "%",
                                     "GFLOP", "MB", "floor ms", "x floor");
  for (const std::string& name : order) {
    text += Line(name, phases[name], steps, all.seconds);
    std::vector<std::pair<std::string, Part>> sorted(parts[name].begin(), parts[name].end());
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    Part rest = phases[name], small;
    for (const auto& [part_name, part] : sorted) {
      rest.seconds -= part.seconds;
      if (part.seconds < 0.01 * all.seconds) {
        small.Add(part);
      } else {
        text += Line("  " + part_name, part, steps, all.seconds);
      }
    }
    if (small.seconds > 0) text += Line("  parts below 1 %", small, steps, all.seconds);
    if (!sorted.empty() && rest.seconds > 0.01 * all.seconds) {
      text += Line("  between them", {rest.seconds, 0, 0, 0}, steps, all.seconds);
    }
  }
  text += Line("all", all, steps, all.seconds);
  absl::StrAppendFormat(&text,
                        "peak: %.0f GFLOP/s (float32 product, 1024 x 1024), %.1f GB/s (copy)\n",
                        peak.flops_per_second * 1e-9, peak.bytes_per_second * 1e-9);
  return text;
}

std::string ChromeTrace(const std::vector<ProfileEvent>& events) {
  std::string text = "{\"traceEvents\":[";
  for (size_t i = 0; i < events.size(); ++i) {
    const ProfileEvent& event = events[i];
    absl::StrAppendFormat(
        &text, "%s\n{\"name\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%.3f,\"dur\":%.3f}",
        i == 0 ? "" : ",", absl::StrReplaceAll(event.name, {{"\\", "\\\\"}, {"\"", "\\\""}}),
        static_cast<double>(event.begin) * 1e-3,
        static_cast<double>(event.end - event.begin) * 1e-3);
  }
  return text + "\n]}\n";
}

}  // namespace cmerc
