// What a dataset plugin provides: conversations, and the numbers that a model is built from.
#ifndef CMERC_CORE_DATASET_H_
#define CMERC_CORE_DATASET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "registry/registry.h"
#include "torch/types.h"

namespace cmerc {

struct ModalityInfo {
  std::string name;         // "text", "audio", "visual", ... unique within a dataset
  int64_t width = 0;        // D_m: features per utterance and stream
  int64_t num_streams = 1;  // text often comes as four streams of one width
};

// Which utterances of its conversation an utterance may draw on.
enum class ContextScope {
  kConversation,  // all of them
  kPast,          // itself and those before it: what there is while the conversation goes on
};

// Everything a backbone or a loss may know of the data before it sees them.
struct DatasetInfo {
  std::string name;
  std::vector<ModalityInfo> modalities;
  std::vector<std::string> class_names;    // C of them; the label of a class is its index
  int64_t num_speakers = 0;                // S: speaker indices are in [0, S)
  std::vector<std::string> speaker_names;  // [S], or empty where the data has no names
  std::vector<int64_t> class_counts;       // [C] utterances of each class in the training split
  ContextScope context = ContextScope::kConversation;  // what Batch::context allows at most

  int64_t num_classes() const { return static_cast<int64_t>(class_names.size()); }
};

// The label of an utterance that nobody labelled: it is context for the others and gets
// predictions, but has no part in losses, scores, class counts or difficulties.
inline constexpr int64_t kUnlabelled = -1;

// One conversation of n utterances. Features are float32 and finite.
struct Conversation {
  std::string id;           // decimal where the files use numbers
  bool numeric_id = false;  // the files use a number, and a pickle we write must too
  // features[m][s]: [n, D_m], in the order of DatasetInfo::modalities
  std::vector<std::vector<torch::Tensor>> features;
  torch::Tensor speakers;  // [n] int64 in [0, S)
  torch::Tensor labels;    // [n] int64 in [0, C), or kUnlabelled
  // [n, M] bool: which modalities each utterance has; what it lacks has zeros for features, until
  // PrepareData() fills it in. Undefined: it has all.
  torch::Tensor present;
  std::vector<std::string> utterances;  // the sentences, or empty when the files have none

  int64_t length() const { return labels.size(0); }
};

enum class Split { kTrain, kValid, kTrainAndValid, kTest };

class Dataset {
 public:
  virtual ~Dataset() = default;

  // class_counts are those of Split::kTrain.
  virtual const DatasetInfo& info() const = 0;
  // Number of conversations over all splits.
  virtual int64_t size() const = 0;
  // The conversation at `index` in [0, size()). Its tensors are shared, not copied, and must not be
  // written to. Fails only where the plugin reads files as late as this.
  virtual absl::StatusOr<Conversation> Get(int64_t index) const = 0;
  // The conversations of a split, in the order of the files. kTrain, kValid and kTest are disjoint;
  // kTrainAndValid has its own order, the official code's.
  virtual absl::Span<const int64_t> split(Split split) const = 0;
};

// options -> dataset. A factory reads and checks its files.
Registry<Dataset>& Datasets();

}  // namespace cmerc

#endif  // CMERC_CORE_DATASET_H_
