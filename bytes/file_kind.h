// What a file is, by its first bytes: for readers that have to refuse one, so that a user learns
// what it is and what to do next.
#ifndef CMERC_BYTES_FILE_KIND_H_
#define CMERC_BYTES_FILE_KIND_H_

#include <string>

#include "absl/strings/string_view.h"

namespace cmerc {

enum class FileKind {
  kUnknown,
  kEmpty,
  kRecords,         // our own record file
  kPickle,          // of protocol 2 or later
  kJoblib,          // a pickle with arrays in between, which joblib alone reads
  kTextModePickle,  // a CR was put before every LF
  kDecodedBinary,   // read as UTF-8 and written again: bytes are lost
  kTorchZip,        // torch.save() of PyTorch 1.6 and later
  kTorchLegacy,     // torch.save() before that
  kTorchScript,     // torch.jit.save()
  kSafetensors,
  kNpy,
  kObjectNpy,  // a .npy file whose array has Python objects
  kNpz,
  kHdf5,
  kMatlab,
  kParquet,
  kOffice,  // Excel and its like
  kZip,     // any other
  kGzip,
  kZlib,
  kBzip2,
  kXz,
  kZstandard,
  kArchive,  // 7z, rar, tar
  kPdf,
  kAppleDouble,  // what macOS puts beside a file, under a name that begins with "._"
  kLfsPointer,
  kWebPage,
  kUtf16,  // text, UTF-32 too
  kJson,   // an object, or several
  kJsonList,
  kMeldCsv,  // with the columns of MELD's
  kCsv,
};

// What a reader wants of a file.
enum class FileUse {
  kPickle,         // an official feature file, or difficulties
  kConversations,  // JSON Lines, a record file or an .npz of conversations
  kCheckpoint,     // a state dict; what PyTorch wrote otherwise is not told here
  kArrays,         // arrays by id
  kUtterances,     // CSV of MELD's form
};

// Whether a file that begins with these bytes is one of gzip, or of zlib as joblib and Python write
// it.
bool IsGzip(absl::string_view head);
bool IsZlib(absl::string_view head);

// Returns what a file is. `content` is the file, or its first bytes: 4096 tell most kinds, but
// kTextModePickle and kJoblib need all.
FileKind FileKindOf(absl::string_view content);

// Returns "a file of joblib.dump()", or "" for kUnknown.
absl::string_view FileKindName(FileKind kind);

// Returns what to do with a file that is there instead of one for `use`: an option, or a line of
// Python that writes one; "" for kUnknown and kEmpty.
std::string FileKindAdvice(FileKind kind, FileUse use, absl::string_view path);

// Returns "is a file of joblib.dump(), want a pickle; in Python: ...", or "" where nothing better
// can be said than the reader's own message: kUnknown, kEmpty, and what fits the use.
std::string WrongFileKind(absl::string_view content, FileUse use, absl::string_view path);

}  // namespace cmerc

#endif  // CMERC_BYTES_FILE_KIND_H_
