// Whole runs and the files they write, for tests.
#ifndef CMERC_TESTS_TRAINING_TRAINED_RUN_H_
#define CMERC_TESTS_TRAINING_TRAINED_RUN_H_

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "calibration/prepared_data.h"
#include "config/run.pb.h"
#include "metrics/report.pb.h"

namespace cmerc {

// A new empty folder of this name below the test's temporary one.
std::string Folder(const std::string& name);

// What is in a file, which exists.
std::string Bytes(const std::string& path);
// Its lines that are not empty.
std::vector<std::string> Lines(const std::string& path);

template <typename Message>
Message FromJson(const std::string& text) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(text, &message);
  EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << text;
  return message;
}

// The reports in `folder`/metrics.jsonl.
std::vector<EpochReport> Epochs(const std::string& folder);

// Whether two checkpoints hold the same tensors, bit for bit.
bool SameState(const std::string& a, const std::string& b);

struct TrainedRun {
  std::string folder;
  PreparedData data;
  RunSummary summary;
};

// Trains on the data of `config` into Folder(name). Throws where that fails.
TrainedRun MustTrain(const RunConfig& config, const std::string& name);

}  // namespace cmerc

#endif  // CMERC_TESTS_TRAINING_TRAINED_RUN_H_
