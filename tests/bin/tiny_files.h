// The smallest useful inputs of `cmerc`, for tests that run it.
#ifndef CMERC_TESTS_BIN_TINY_FILES_H_
#define CMERC_TESTS_BIN_TINY_FILES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace cmerc {

// A config of a little M3Net on a few generated conversations, with the NLL and the ranking loss:
// an epoch takes milliseconds. Classes: class_0, class_1, class_2. Conversations: train_0 to
// train_3, valid_0, test_0 and test_1.
std::string TinyConfig();

// The contents of iemocap_features_roberta.pkl for three conversations of two utterances; a test
// spoils one thing.
struct TinyCorpus {
  struct Conversation {
    std::string id;
    std::vector<std::string> speakers = {"M", "F"};
    std::vector<int64_t> labels = {0, 1};
    std::vector<std::vector<double>> text = {{1, 2}, {3, 4}};  // [utterance][column]
  };
  std::vector<Conversation> conversations = {{"Ses0"}, {"Ses1"}, {"Ses2"}};
  std::vector<std::string> train = {"Ses0"};
  std::vector<std::string> valid = {"Ses1"};
  std::vector<std::string> test = {"Ses2"};
};
std::string PickleOf(const TinyCorpus& corpus);

// The Python pickle of an object whose __reduce__ is (os.system, (command,)).
std::string PickleThatRuns(const std::string& command);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_TINY_FILES_H_
