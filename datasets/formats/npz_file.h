// Reads NumPy's .npz: a zip archive of .npy arrays, as savez() and savez_compressed() write it.
#ifndef CMERC_DATASETS_FORMATS_NPZ_FILE_H_
#define CMERC_DATASETS_FORMATS_NPZ_FILE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bytes/npy.h"
#include "bytes/zip.h"

namespace cmerc {

// An archive in memory, whose arrays are opened when they are asked for. What they hold, all
// together, is at most MostInflated() of the file's size (bytes/inflate.h).
class NpzFile {
 public:
  // Opens a file. The message of an error begins with `path`. NotFound: there is no such file.
  // InvalidArgument: it is none, is damaged, or claims to hold more than it may; an array is
  // encrypted, or its header is damaged. ResourceExhausted: it does not fit into the memory.
  static absl::StatusOr<std::unique_ptr<NpzFile>> Open(const std::string& path);
  // Opens what is in memory; `path` is for messages.
  static absl::StatusOr<std::unique_ptr<NpzFile>> Parse(std::string bytes, std::string path);

  const std::string& path() const { return path_; }
  // The names of the arrays in the order of the file, without ".npy".
  const std::vector<std::string>& names() const { return names_; }
  // Returns what an array is, or nullptr where there is none of that name.
  const NpyHeader* Find(absl::string_view name) const;

  // Each reads an array that is there. The message of an error begins with path and name.
  // InvalidArgument: it is damaged, or nothing that can be made into what is wanted.
  //
  // Writes its elements in C order to `out`, which has room for all of them. Not checked for being
  // finite.
  absl::Status CopyFloats(absl::string_view name, absl::Span<float> out) const;
  // Returns the elements of an array of integers with one axis.
  absl::StatusOr<std::vector<int64_t>> Integers(absl::string_view name) const;
  // Returns the elements of an array of text with one axis, as UTF-8.
  absl::StatusOr<std::vector<std::string>> Texts(absl::string_view name) const;

 private:
  struct Array {
    ZipEntry entry;
    NpyHeader header;
  };

  NpzFile(std::string bytes, std::string path) : bytes_(std::move(bytes)), path_(std::move(path)) {}

  absl::Status ReadDirectory();
  absl::Status AddArray(const ZipEntry& entry);
  // Whether a file of this size may hold so many elements, each of which takes `item_size` bytes of
  // memory.
  bool MayHold(int64_t count, size_t item_size) const;
  // Returns the .npy file of an array: a part of bytes_, or of `opened`, which it is written to.
  absl::StatusOr<absl::string_view> NpyOf(const Array& array, std::string* opened) const;
  absl::Status Error(absl::string_view name, absl::string_view problem) const;

  const std::string bytes_;
  const std::string path_;
  std::vector<std::string> names_;
  std::map<std::string, Array, std::less<>> arrays_;
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_NPZ_FILE_H_
