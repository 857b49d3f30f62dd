// A dataset whose conversations are all in memory: what the dataset plugins here return.
#ifndef CMERC_DATASETS_ASSEMBLY_IN_MEMORY_H_
#define CMERC_DATASETS_ASSEMBLY_IN_MEMORY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/dataset.h"

namespace cmerc {

// A Dataset may be one of these, too.
class TellsOfItsFiles {
 public:
  virtual ~TellsOfItsFiles() = default;
  // Sentences about what may be wrong with the data.
  virtual const std::vector<std::string>& warnings() const = 0;
  // Modality -> what has made its features, where the files say.
  virtual const std::map<std::string, std::string>& extractors() const = 0;
};

class InMemoryDataset final : public Dataset, public TellsOfItsFiles {
 public:
  // Indices into the conversations, as Dataset::split() returns them.
  struct Splits {
    std::vector<int64_t> train;
    std::vector<int64_t> valid;
    std::vector<int64_t> train_and_valid;
    std::vector<int64_t> test;
  };

  // info.class_counts are counted here, over splits.train. Labels are in [0, C), or kUnlabelled.
  // `warnings` are sentences about what may be wrong with the data; those about the names of
  // classes are added. `extractors`: modality -> what has made its features, where the files say.
  InMemoryDataset(DatasetInfo info, std::vector<Conversation> conversations, Splits splits,
                  std::vector<std::string> warnings = {},
                  std::map<std::string, std::string> extractors = {});

  const DatasetInfo& info() const override { return info_; }
  int64_t size() const override { return static_cast<int64_t>(conversations_.size()); }
  // OutOfRange: index is not in [0, size()).
  absl::StatusOr<Conversation> Get(int64_t index) const override;
  absl::Span<const int64_t> split(Split split) const override;

  const std::vector<std::string>& warnings() const override { return warnings_; }
  const std::map<std::string, std::string>& extractors() const override { return extractors_; }

 private:
  DatasetInfo info_;
  std::vector<Conversation> conversations_;
  Splits splits_;
  std::vector<std::string> warnings_;
  std::map<std::string, std::string> extractors_;
};

// Returns the warnings of a data set that TellsOfItsFiles; none of another one.
absl::Span<const std::string> WarningsOf(const Dataset& dataset);

// Returns the extractors of a data set that TellsOfItsFiles; none of another one.
std::map<std::string, std::string> ExtractorsOf(const Dataset& dataset);

}  // namespace cmerc

#endif  // CMERC_DATASETS_ASSEMBLY_IN_MEMORY_H_
