// ReadCheckpoint() as a whole, with LibTorch: the tensors that data.pkl describes, and the
// metadata.
//
//   tests/fuzz/run.sh checkpoint -max_total_time=300
//
// The input is a zip archive, or what is put into one as data.pkl beside a storage of 64 bytes, or,
// when it begins with "config", as its metadata.
//
// Laws: an error is InvalidArgument and names the file; the tensors take at most 64 times the file;
// what is said of a dict inside a dict cannot control a terminal; a checkpoint that is accepted is
// written back and read again as equal.
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/checkpoint.h"
#include "tests/fuzz/law.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/zip_repair.h"
#include "tests/storage/zip.h"

namespace cmerc::fuzz {
namespace {

std::string File(const std::string& input) {
  if (absl::StartsWith(input, "PK")) return input;
  if (absl::StartsWith(input, "config")) {
    return Zip({{"h/data.pkl", "}."}, {"h/cmerc/metadata.textproto", input}});
  }
  std::string storage;
  for (int i = 0; i < 64; ++i) storage.push_back(static_cast<char>(i));
  return Zip({{"h/data.pkl", input}, {"h/data/0", storage}});
}

// Bits, so that NaN is itself.
bool SameBits(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         (a.numel() == 0 ||
          std::memcmp(a.contiguous().data_ptr(), b.contiguous().data_ptr(), a.nbytes()) == 0);
}

void CheckWritten(const Checkpoint& checkpoint) {
  const std::string path = TemporaryPath("again.pth");
  const CheckpointMetadata metadata = checkpoint.metadata.value_or(CheckpointMetadata());
  const absl::Status written = WriteCheckpoint(path, checkpoint.state, metadata);
  Law(written.ok(), "what was read is written", written.ToString());
  const absl::StatusOr<Checkpoint> again = ReadCheckpoint(path);
  Law(again.ok(), "what is written is read", again.status().ToString());
  Law(again->state.size() == checkpoint.state.size(), "what is written is read as equal");
  for (const auto& [name, tensor] : checkpoint.state) {
    const auto it = again->state.find(name);
    Law(it != again->state.end() && SameBits(tensor, it->second),
        "what is written is read as equal", name);
  }
}

}  // namespace

void Run(std::string input) {
  static auto* file = new MemoryFile;
  const std::string bytes = File(input);
  file->Write(bytes);
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(file->path());
  if (!checkpoint.ok()) return CheckError(checkpoint.status(), file->path());
  size_t total = 0;
  for (const auto& [name, tensor] : checkpoint->state) total += tensor.nbytes();
  Law(total <= 64 * bytes.size(), "tensors take at most 64 times the file");
  for (const char c : checkpoint->note) {
    Law(static_cast<unsigned char>(c) >= ' ' && c != '\x7f', "a note controls no terminal");
  }
  CheckWritten(*checkpoint);
}

}  // namespace cmerc::fuzz
