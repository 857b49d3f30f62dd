// What clients are told of a model, and what their requests are checked against; without LibTorch.
#ifndef CMERC_SERVING_MODEL_DESCRIPTION_H_
#define CMERC_SERVING_MODEL_DESCRIPTION_H_

#include <cstdint>
#include <string>
#include <vector>

namespace cmerc::serving {

struct ModelDescription {
  struct Modality {
    std::string name;
    int64_t width = 0;    // features of an utterance in one stream
    int64_t streams = 1;  // of one modality
  };
  std::string name;
  std::string version;  // counts how often the name has been loaded, from "1"
  std::vector<Modality> modalities;
  std::vector<std::string> class_names;
  std::vector<std::string> views;  // what the table `without` has an entry for
  bool calibrated = false;         // answers have calibrated probabilities
  bool sets = false;               // answers have prediction sets
  bool abstains = false;           // answers say whether they are declined
};

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_MODEL_DESCRIPTION_H_
