// The official feature files (datasets/official), with LibTorch.
//
//   tests/fuzz/run.sh official_pickles -max_total_time=300
//
// Laws: an error is InvalidArgument and names the file; the tensors of what is accepted take at
// most 64 times the file and 1 MiB, and every conversation can be had, with finite features of the
// shapes that the data set says.
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "core/dataset.h"
#include "datasets/official/official_pickles.pb.h"
#include "tests/fuzz/law.h"
#include "tests/fuzz/memory_file.h"

namespace cmerc::fuzz {
namespace {

void CheckConversations(const Dataset& dataset, size_t file_size) {
  const DatasetInfo& info = dataset.info();
  std::set<const void*> storages;
  size_t total = 0;
  for (const Split split : {Split::kTrain, Split::kValid, Split::kTest}) {
    for (const int64_t index : dataset.split(split)) {
      const absl::StatusOr<Conversation> conversation = dataset.Get(index);
      Law(conversation.ok(), "every conversation can be had", conversation.status().ToString());
      Law(conversation->features.size() == info.modalities.size(), "every modality is there");
      for (size_t m = 0; m < info.modalities.size(); ++m) {
        const ModalityInfo& modality = info.modalities[m];
        const auto& streams = conversation->features[m];
        Law(static_cast<int64_t>(streams.size()) == modality.num_streams, "every stream is there");
        for (const torch::Tensor& stream : streams) {
          Law(stream.dim() == 2 && stream.size(0) == conversation->labels.size(0) &&
                  stream.size(1) == modality.width,
              "features have the shape that the data set says");
          Law(stream.isfinite().all().item<bool>(), "features are finite");
          if (storages.insert(stream.data_ptr()).second) total += stream.nbytes();
        }
      }
    }
  }
  Law(total <= 64 * file_size + (size_t{1} << 20), "tensors are bounded by the file");
}

void Run(const std::string& bytes) {
  static auto* file = new MemoryFile;
  file->Write(bytes);
  for (const bool features : {true, false}) {
    OfficialPicklesOptions options;
    if (features) {
      options.set_features_file(file->path());
    } else {
      options.set_roberta_file(file->path());
    }
    google::protobuf::Any any;
    any.PackFrom(options);
    const absl::StatusOr<std::unique_ptr<Dataset>> dataset = Datasets().Create(any);
    if (dataset.ok()) {
      CheckConversations(**dataset, bytes.size());
    } else {
      CheckError(dataset.status(), "cmerc.OfficialPicklesOptions: ");
      Law(absl::StrContains(dataset.status().message(), file->path()), "an error names the file",
          dataset.status().ToString());
    }
  }
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cmerc::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
