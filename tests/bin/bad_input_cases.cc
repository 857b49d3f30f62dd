#include "tests/bin/bad_input_cases.h"

#include <utility>

#include "tests/bin/bad_command_cases.h"
#include "tests/bin/bad_config_cases.h"
#include "tests/bin/bad_data_cases.h"
#include "tests/bin/bad_habit_cases.h"
#include "tests/bin/bad_kind_cases.h"
#include "tests/bin/bad_output_cases.h"
#include "tests/bin/bad_plan_cases.h"
#include "tests/bin/bad_predict_cases.h"
#include "tests/bin/bad_record_cases.h"
#include "tests/bin/bad_stream_cases.h"

namespace cmerc {

std::ostream& operator<<(std::ostream& out, const BadInput& input) {
  out << "cmerc";
  for (const std::string& arg : input.args) out << " '" << arg << "'";
  return out;
}

const std::vector<BadInputTopic>& BadInputTopics() {
  static const auto* topics = [] {
    const std::vector<std::pair<const char*, void (*)(std::vector<BadInput>*)>> tables = {
        {"The command line", AddCommandLine},
        {"Habits of other programs", AddHabits},
        {"The environment", AddEnvironment},
        {"Configs", AddConfig},
        {"The official pickles and generated data", AddData},
        {"Record files, JSON Lines and `cmerc data`", AddRecords},
        {"Files of another kind", AddKinds},
        {"Curricula and difficulties", AddCurriculum},
        {"Checkpoints", AddCheckpoints},
        {"Predicting", AddPredictInputs},
        {"Scoring every night", AddNightlyPredictions},
        {"Conversations that go on", AddStreams},
        {"Plans of experiments", AddPlans},
        {"Reports", AddReports},
        {"Where results go", AddOutputs},
        {"What is not written over", AddKept},
    };
    auto* all = new std::vector<BadInputTopic>;
    for (const auto& [title, add] : tables) {
      all->push_back({title, {}});
      add(&all->back().cases);
    }
    return all;
  }();
  return *topics;
}

std::vector<BadInput> BadInputs() {
  std::vector<BadInput> all;
  for (const BadInputTopic& topic : BadInputTopics()) {
    all.insert(all.end(), topic.cases.begin(), topic.cases.end());
  }
  return all;
}

}  // namespace cmerc
