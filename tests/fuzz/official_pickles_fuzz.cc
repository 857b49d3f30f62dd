// The official feature files (datasets/official), with LibTorch.
//
//   tests/fuzz/run.sh official_pickles -max_total_time=300
//
// A file is read with the layout that AUTO finds, with the fields that are guessed, and as a
// modality beside itself.
//
// Laws: what is in a file can be said; an error is InvalidArgument and names the file; the tensors
// of what is accepted take at most 64 times the file and 1 MiB, and every conversation can be had,
// with finite features of the shapes that the data set says.
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "core/dataset.h"
#include "datasets/official/layout_guess.h"
#include "datasets/official/official_pickles.pb.h"
#include "datasets/official/pickle_report.h"
#include "storage/pickle/pickle.h"
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

void Create(const OfficialPicklesOptions& options, const std::string& path, size_t file_size) {
  google::protobuf::Any any;
  any.PackFrom(options);
  const absl::StatusOr<std::unique_ptr<Dataset>> dataset = Datasets().Create(any);
  if (dataset.ok()) {
    CheckConversations(**dataset, file_size);
  } else {
    CheckError(dataset.status(), "cmerc.OfficialPicklesOptions: ");
    Law(absl::StrContains(dataset.status().message(), path), "an error names the file",
        dataset.status().ToString());
  }
}

void Run(const std::string& bytes) {
  static auto* file = new MemoryFile;
  file->Write(bytes);
  OfficialPicklesOptions options;
  options.set_features_file(file->path());
  Create(options, file->path(), bytes.size());
  options.clear_features_file();
  options.set_roberta_file(file->path());
  Create(options, file->path(), bytes.size());

  const auto document = pickle::Document::Open(file->path());
  const auto report = datasets::ReportOnPickle(file->path(), "");
  Law(report.ok() == document.ok(), "what is in a pickle can be said");
  if (!document.ok()) return;
  const datasets::LayoutGuess guess = datasets::GuessLayout(**document);
  if (!guess.is_whole()) return;
  *options.mutable_fields() = guess.fields;
  Create(options, file->path(), bytes.size());
  OfficialPicklesOptions::ModalityFile* modality = options.add_modality_files();
  modality->set_modality("text");
  modality->set_file(file->path());
  modality->add_field(guess.fields.labels());
  Create(options, file->path(), 2 * bytes.size());
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cmerc::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
