// A made-up corpus for files of any layout: everything differs where two things could be taken for
// each other.
#ifndef CMERC_TESTS_DATASETS_OFFICIAL_TOY_CORPUS_H_
#define CMERC_TESTS_DATASETS_OFFICIAL_TOY_CORPUS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/dataset.h"
#include "datasets/official/official_pickles.pb.h"
#include "tests/datasets/official/python_values.h"
#include "torch/types.h"

namespace cmerc {

// Ten conversations "dlg0" to "dlg9" of 2, 3 or 4 utterances. No split is in ascending order, and
// no two have the same number of conversations. Value `k` of utterance `u` of conversation `c` in
// modality `m` is 1000 m + 100 c + 10 u + k + 0.5.
class ToyCorpus {
 public:
  using Entry = std::function<python::Value(int64_t c, int64_t u)>;

  // A name for each conversation; numbers where `numeric`.
  explicit ToyCorpus(bool numeric = false) : numeric_(numeric) {}

  static constexpr int64_t kSize = 10;
  static int64_t Length(int64_t c) { return 2 + c % 3; }
  // Every label from 0 to `classes` - 1 occurs.
  static int64_t Label(int64_t c, int64_t u, int64_t classes) { return (3 * c + u) % classes; }

  std::string IdText(int64_t c) const;
  python::Value Id(int64_t c) const;
  // Which conversations train, validate and test.
  static const std::vector<int64_t>& Train();
  static const std::vector<int64_t>& Valid();
  static const std::vector<int64_t>& Test();
  python::Value Ids(const std::vector<int64_t>& conversations) const;
  python::Value SetOfIds(const std::vector<int64_t>& conversations) const;

  // A list for conversation `c`.
  static python::Value ListOf(int64_t c, const Entry& entry);
  // A dict from id to a list.
  python::Value Table(const Entry& entry) const;

  // What fields hold of an utterance.
  python::Value UtteranceId(int64_t c, int64_t u) const;
  static python::Value Letter(int64_t c, int64_t u);                 // M or F
  static python::Value OneHot(int64_t c, int64_t u, int64_t width);  // of speakers
  static python::Value Sentence(int64_t c, int64_t u);
  static python::Value Row(int64_t modality, int64_t c, int64_t u, int64_t width);

  // The tables of these.
  python::Value UtteranceIds() const;
  python::Value Letters() const;
  python::Value OneHots(int64_t width) const;
  python::Value Sentences() const;
  python::Value Labels(int64_t classes) const;
  python::Value Features(int64_t modality, int64_t width) const;

  // What Features() becomes: [n, width].
  static torch::Tensor Expected(int64_t modality, int64_t c, int64_t width);

 private:
  const bool numeric_;
};

inline const ToyCorpus kToy;
inline const std::vector<int64_t>& kTrain = ToyCorpus::Train();
inline const std::vector<int64_t>& kValid = ToyCorpus::Valid();
inline const std::vector<int64_t>& kTest = ToyCorpus::Test();

// The data set of these options, or the status of what is wrong with them.
absl::StatusOr<std::unique_ptr<Dataset>> Create(const OfficialPicklesOptions& options);

// The data set; null, and a failure of the test, where there is none.
std::unique_ptr<Dataset> MustCreate(const OfficialPicklesOptions& options);

// The message that refuses these options, InvalidArgument.
std::string ErrorOf(const OfficialPicklesOptions& options);

// The ids of a split, in its order.
std::vector<std::string> IdsOf(const Dataset& dataset, Split split);

// The conversation of this id; a failure of the test where there is none.
Conversation ConversationOf(const Dataset& dataset, const std::string& id);

// Expects that a data set has the toy's splits and labels, and of each modality, by name, these
// streams: the number and width that were given to Features().
void ExpectToy(const Dataset& dataset, const ToyCorpus& toy, int64_t classes, bool has_valid,
               const std::vector<std::pair<std::string, std::vector<std::pair<int64_t, int64_t>>>>&
                   modalities);

// Writes a file into a folder of the test's own. Returns its path.
std::string WriteTestFile(const std::string& name, const std::string& bytes);

}  // namespace cmerc

#endif  // CMERC_TESTS_DATASETS_OFFICIAL_TOY_CORPUS_H_
