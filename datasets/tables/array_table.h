// Arrays by id, as feature files of one modality hold them.
#ifndef CMERC_DATASETS_TABLES_ARRAY_TABLE_H_
#define CMERC_DATASETS_TABLES_ARRAY_TABLE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace cmerc::datasets {

// The size of what a table holds of an id: as many rows as utterances. A vector is one row; what is
// empty, or None, has no rows.
struct TableShape {
  int64_t rows = 0;
  int64_t width = 0;
};

// A table id -> float32 [rows, width], from
//
//   the pickle of a dict {id: array, or list of vectors or numbers}, also compressed by gzip or
//   zlib an .npz, compressed or not, whose arrays are named by id a folder of .npy files named by
//   id: ID.npy
//
// Elements may be bool, integers or floats of any size and byte order, in C or Fortran order. An id
// is a text; numbers of a pickle are ids as their digits. Nothing is converted, and no file of a
// folder is opened, until it is asked for. One thread at a time.
class ArrayTable {
 public:
  virtual ~ArrayTable() = default;

  // Opens a file or folder. The message of an error begins with `path`. NotFound: there is neither.
  // InvalidArgument: it is nothing of the above (the message says what it is, and how to make it
  // one of these), is damaged, claims to hold more than a file of its size may, or holds an id
  // twice. ResourceExhausted: it does not fit into the memory.
  static absl::StatusOr<std::unique_ptr<ArrayTable>> Open(const std::string& path);

  const std::string& path() const { return path_; }
  // The ids, in the order of the file; of a folder in ascending order.
  const std::vector<std::string>& ids() const { return ids_; }
  virtual bool Has(absl::string_view id) const = 0;

  // Returns the shape of what it holds of an id. InvalidArgument: there is none; it is nothing of
  // numbers with one or two axes, or a list of unequal rows. Messages name file, id, what was found
  // and what to do.
  absl::StatusOr<TableShape> ShapeOf(absl::string_view id) const;

  // Writes what it holds of an id to `out`, which has room for rows * width values. Errors are
  // those of ShapeOf(), and InvalidArgument: a value is NaN, infinite, or too large for float32;
  // the file is damaged there; or what was read of a pickle, which may hold one array under many
  // ids, takes more memory than 64 times the file.
  absl::Status Copy(absl::string_view id, absl::Span<float> out) const;

  // Returns what it holds of an id in words, for people: "float32 array of shape [12, 768]"; what
  // is wrong with it, where it cannot be read.
  std::string Describe(absl::string_view id) const;

 protected:
  ArrayTable(std::string path, std::vector<std::string> ids)
      : path_(std::move(path)), ids_(std::move(ids)) {}

  // What the files differ in. `id` is there. The messages of errors are without file and id.
  virtual absl::StatusOr<std::vector<int64_t>> FullShapeOf(absl::string_view id) const = 0;
  virtual absl::Status CopyAll(absl::string_view id, absl::Span<float> out) const = 0;
  virtual absl::StatusOr<std::string> DescribeIt(absl::string_view id) const = 0;

 private:
  absl::Status Error(absl::string_view id, absl::string_view problem) const;

  const std::string path_;
  const std::vector<std::string> ids_;
};

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_TABLES_ARRAY_TABLE_H_
