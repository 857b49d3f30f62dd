// The reader of checkpoints' archives (storage/archive.h), and the pickle in them, without
// LibTorch.
//
//   tests/fuzz/run.sh archive -max_total_time=300
//
// Laws: an error is InvalidArgument; memory is bounded by the size of the file; records lie inside
// the file and none over another; an archive of the records that are accepted is read as equal.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/archive.h"
#include "storage/pickle/pickle.h"
#include "tests/fuzz/law.h"
#include "tests/fuzz/zip_repair.h"
#include "tests/storage/zip.h"

namespace cmerc::fuzz {
namespace {

std::vector<std::string> Names() {
  std::vector<std::string> names = {"data.pkl", "version", "byteorder", "cmerc/metadata.textproto",
                                    ""};
  for (int i = 0; i < 12; ++i) names.push_back(absl::StrCat("data/", i));
  return names;
}

void CheckPickle(absl::string_view pickled) {
  pickle::Options options;
  options.allow_persistent_ids = true;
  options.refuse_unknown = true;
  options.allowed_globals = {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
                             "torch.FloatStorage"};
  const auto document = pickle::Document::Parse(std::string(pickled), "fuzz", options);
  if (!document.ok()) CheckError(document.status(), "fuzz: byte ");
}

}  // namespace

void Run(std::string bytes) {
  const size_t size = bytes.size();
  const PeakMemory memory;
  const absl::StatusOr<Archive> archive = Archive::Parse(std::move(bytes));
  memory.CheckAtMost(size, 8, size_t{64} << 10);
  if (!archive.ok()) return CheckError(archive.status());
  Law(archive->size() == size, "an archive is the whole file");
  std::vector<ZipRecord> records;
  size_t total = 0;
  for (const std::string& name : Names()) {
    const absl::StatusOr<absl::string_view> record = archive->Read(name);
    Law(!record.ok() || archive->Has(name), "what is read is there");
    if (!record.ok()) {
      CheckError(record.status());
      continue;
    }
    total += record->size();
    // The writer gives every record a name.
    if (!name.empty()) records.emplace_back(absl::StrCat("run/", name), std::string(*record));
    if (name == "data.pkl") CheckPickle(*record);
  }
  Law(total <= size, "records do not share bytes");
  const absl::StatusOr<Archive> again = Archive::Parse(Zip(records));
  Law(again.ok(), "what is written is read", again.status().ToString());
  for (const ZipRecord& record : records) {
    const absl::StatusOr<absl::string_view> data = again->Read(record.name.substr(4));
    Law(data.ok() && *data == record.data, "what is written is read as equal", record.name);
  }
}

}  // namespace cmerc::fuzz
