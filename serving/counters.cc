#include "serving/counters.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace cmerc::serving {
namespace {

// The value of a label in quotes.
std::string Quoted(const std::string& text) {
  return absl::StrCat(
      "\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}), "\"");
}

void Begin(const char* name, const char* type, const char* help, std::string* text) {
  absl::StrAppend(text, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}

// Bytes of memory that this process holds; 0 where the system does not say.
int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t all = 0, resident = 0;
  file >> all >> resident;
  return file ? resident * sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace

void Counters::AddRequest(const std::string& protocol, const std::string& what,
                          const std::string& code, double seconds) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++requests_[absl::StrCat("protocol=", Quoted(protocol), ",request=", Quoted(what),
                           ",code=", Quoted(code))];
  Histogram& histogram =
      seconds_[absl::StrCat("protocol=", Quoted(protocol), ",request=", Quoted(what))];
  const auto* bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  ++histogram.counts[static_cast<size_t>(bound - kBounds.begin())];
  histogram.sum += seconds;
}

void Counters::AddPredicted(const std::string& model, int64_t conversations, int64_t utterances) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Predicted& predicted = predicted_[model];
  ++predicted.passes;
  predicted.conversations += conversations;
  predicted.utterances += utterances;
}

void Counters::AddLoad(const std::string& model, bool succeeded) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++(succeeded ? loads_[model].first : loads_[model].second);
}

void Counters::AddOpenStreams(int64_t change) {
  const std::lock_guard<std::mutex> lock(mutex_);
  open_streams_ += change;
}

int64_t Counters::open_streams() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return open_streams_;
}

std::string Counters::Text(size_t waiting, const std::map<std::string, bool>& ready) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string text;
  Begin("cmerc_requests_total", "counter", "Requests that were answered.", &text);
  for (const auto& [labels, count] : requests_) {
    absl::StrAppend(&text, "cmerc_requests_total{", labels, "} ", count, "\n");
  }
  Begin("cmerc_request_seconds", "histogram", "From the request to its answer.", &text);
  for (const auto& [labels, histogram] : seconds_) {
    int64_t sum = 0;
    for (size_t i = 0; i <= kBounds.size(); ++i) {
      sum += histogram.counts[i];
      absl::StrAppend(&text, "cmerc_request_seconds_bucket{", labels, ",le=\"",
                      i < kBounds.size() ? absl::StrCat(kBounds[i]) : "+Inf", "\"} ", sum, "\n");
    }
    absl::StrAppend(&text, "cmerc_request_seconds_sum{", labels, "} ",
                    absl::StrFormat("%.9g", histogram.sum), "\ncmerc_request_seconds_count{",
                    labels, "} ", sum, "\n");
  }
  Begin("cmerc_passes_total", "counter", "Passes through a model.", &text);
  for (const auto& [model, count] : predicted_) {
    absl::StrAppend(&text, "cmerc_passes_total{model=", Quoted(model), "} ", count.passes, "\n");
  }
  Begin("cmerc_conversations_total", "counter", "Conversations that were predicted.", &text);
  for (const auto& [model, count] : predicted_) {
    absl::StrAppend(&text, "cmerc_conversations_total{model=", Quoted(model), "} ",
                    count.conversations, "\n");
  }
  Begin("cmerc_utterances_total", "counter", "Utterances that were predicted.", &text);
  for (const auto& [model, count] : predicted_) {
    absl::StrAppend(&text, "cmerc_utterances_total{model=", Quoted(model), "} ", count.utterances,
                    "\n");
  }
  Begin("cmerc_model_loads_total", "counter", "How often a model was loaded, or could not be.",
        &text);
  for (const auto& [model, count] : loads_) {
    absl::StrAppend(&text, "cmerc_model_loads_total{model=", Quoted(model), ",result=\"ok\"} ",
                    count.first, "\ncmerc_model_loads_total{model=", Quoted(model),
                    ",result=\"failed\"} ", count.second, "\n");
  }
  Begin("cmerc_model_ready", "gauge", "Whether a model answers.", &text);
  for (const auto& [model, is_ready] : ready) {
    absl::StrAppend(&text, "cmerc_model_ready{model=", Quoted(model), "} ", is_ready ? 1 : 0, "\n");
  }
  Begin("cmerc_waiting_requests", "gauge", "Requests that no worker has begun.", &text);
  absl::StrAppend(&text, "cmerc_waiting_requests ", waiting, "\n");
  Begin("cmerc_open_streams", "gauge", "Conversations that go on.", &text);
  absl::StrAppend(&text, "cmerc_open_streams ", open_streams_, "\n");
  Begin("process_resident_memory_bytes", "gauge", "Memory of this process.", &text);
  absl::StrAppend(&text, "process_resident_memory_bytes ", ResidentBytes(), "\n");
  return text;
}

}  // namespace cmerc::serving
