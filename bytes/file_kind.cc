#include "bytes/file_kind.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace cmerc {
namespace {

using absl::string_view;

constexpr char kDocs[] = "docs/your_own_data.md, \"I have a file from ...\"";

struct Signature {
  string_view bytes;
  FileKind kind;
};

// Where one begins another, the longer one comes first.
constexpr std::array<Signature, 25> kSignatures = {{
    {"\x89"
     "CMERC\r\n",
     FileKind::kRecords},
    {{"\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19\x2E", 15}, FileKind::kTorchLegacy},
    {{"\x80\x02", 2}, FileKind::kPickle},
    {{"\x80\x03", 2}, FileKind::kPickle},
    {{"\x80\x04", 2}, FileKind::kPickle},
    {{"\x80\x05", 2}, FileKind::kPickle},
    {{"\xEF\xBF\xBD\x02", 4}, FileKind::kDecodedBinary},
    {{"\xEF\xBF\xBD\x03", 4}, FileKind::kDecodedBinary},
    {{"\xEF\xBF\xBD\x04", 4}, FileKind::kDecodedBinary},
    {{"\xEF\xBF\xBD\x05", 4}, FileKind::kDecodedBinary},
    {"\x93NUMPY", FileKind::kNpy},
    {"\x89HDF\r\n\x1A\n", FileKind::kHdf5},
    {"MATLAB 5.0 MAT-file", FileKind::kMatlab},
    {"MATLAB 7.3 MAT-file", FileKind::kHdf5},
    {"PAR1", FileKind::kParquet},
    {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", FileKind::kOffice},
    {"BZh", FileKind::kBzip2},
    {{"\xFD"
      "7zXZ\0",
      6},
     FileKind::kXz},
    {"\x28\xB5\x2F\xFD", FileKind::kZstandard},
    {"7z\xBC\xAF\x27\x1C", FileKind::kArchive},
    {"Rar!\x1A\x07", FileKind::kArchive},
    {"%PDF-", FileKind::kPdf},
    {{"\x00\x05\x16\x07", 4}, FileKind::kAppleDouble},
    {{"\xFF\xFE", 2}, FileKind::kUtf16},
    {{"\xFE\xFF", 2}, FileKind::kUtf16},
}};

FileKind ZipKind(string_view content) {
  const size_t name_size = content.size() < 30 ? 0
                                               : static_cast<uint8_t>(content[26]) |
                                                     static_cast<uint8_t>(content[27]) << 8;
  const string_view first = content.substr(std::min<size_t>(content.size(), 30), name_size);
  if (absl::EndsWith(first, ".npy")) return FileKind::kNpz;
  if (first == "[Content_Types].xml") return FileKind::kOffice;
  if (absl::StrContains(content, "/constants.pkl")) return FileKind::kTorchScript;
  if (absl::StrContains(content, "/data.pkl")) return FileKind::kTorchZip;
  return FileKind::kZip;
}

FileKind NpyKind(string_view content) {
  const string_view header = content.substr(0, content.find('\n', 10));
  const bool objects = absl::StrContains(header, "'|O'") || absl::StrContains(header, "'O'");
  return objects ? FileKind::kObjectNpy : FileKind::kNpy;
}

// Eight bytes say how long the JSON object is that follows.
bool IsSafetensors(string_view content) {
  return content.size() > 10 && content[8] == '{' && content[7] == '\0' && content[6] == '\0' &&
         content[5] == '\0' && (content[9] == '"' || content[9] == '}');
}

// Whether letters of ASCII have a zero byte each, without a mark before them.
bool IsWideText(string_view content) {
  if (content.size() < 8) return false;
  for (const size_t letter : {size_t{0}, size_t{1}}) {
    bool wide = true;
    for (size_t i = 0; i < 8; ++i) {
      const char c = content[i];
      wide = wide && (i % 2 == letter ? absl::ascii_isprint(c) : c == '\0');
    }
    if (wide) return true;
  }
  return false;
}

bool IsWebPage(string_view text) {
  std::string start(text.substr(0, 512));
  absl::AsciiStrToLower(&start);
  return absl::StartsWith(start, "<!doctype html") || absl::StartsWith(start, "<html") ||
         (absl::StartsWith(start, "<") && absl::StrContains(start, "<html")) ||
         absl::StartsWith(start, "<head") || absl::StartsWith(start, "<?xml");
}

// Whether a CR stands before every LF, of which there are some, in what ends as a pickle does.
bool IsTextModePickle(string_view content) {
  if (content.size() < 4 || string_view("\x80(c]}").find(content[0]) == string_view::npos) {
    return false;
  }
  const size_t end = content.find_last_not_of("\r\n");
  if (end == string_view::npos || content[end] != '.') return false;
  int breaks = 0;
  for (size_t at = content.find('\n'); at != string_view::npos; at = content.find('\n', at + 1)) {
    if (at == 0 || content[at - 1] != '\r') return false;
    ++breaks;
  }
  return breaks >= 2;
}

FileKind TextKind(string_view text) {
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");
  text = absl::StripLeadingAsciiWhitespace(text);
  if (text.empty()) return FileKind::kUnknown;
  if (absl::StartsWith(text, "version https://git-lfs.github.com/")) return FileKind::kLfsPointer;
  if (IsWebPage(text)) return FileKind::kWebPage;
  if (text[0] == '{') return FileKind::kJson;
  if (text[0] == '[') return FileKind::kJsonList;
  const string_view line = text.substr(0, text.find_first_of("\r\n"));
  const bool is_plain = std::all_of(line.begin(), line.end(), [](char c) {
    return static_cast<uint8_t>(c) >= 0x20 || c == '\t';
  });
  if (!is_plain || line.find_first_of(",;\t") == string_view::npos) return FileKind::kUnknown;
  if (absl::StrContains(line, "Utterance") && absl::StrContains(line, "Dialogue_ID")) {
    return FileKind::kMeldCsv;
  }
  const bool has_name = absl::ascii_isalnum(line[0]) || line[0] == '"' || line[0] == ',';
  return has_name && line.size() < text.size() ? FileKind::kCsv : FileKind::kUnknown;
}

// A line of Python that makes an object of a file: what to import, and the expression.
struct Loading {
  string_view imports;
  std::string expression;
};

Loading LoadingOf(FileKind kind, string_view path) {
  // A path with a quote in it would end the string early.
  const std::string quoted = absl::StrCat("\"", absl::CHexEscape(path), "\"");
  switch (kind) {
    case FileKind::kPickle:
      return {"pickle", absl::StrCat("pickle.load(open(", quoted, ", \"rb\"))")};
    case FileKind::kJoblib:
      return {"joblib", absl::StrCat("joblib.load(", quoted, ")")};
    case FileKind::kTorchZip:
    case FileKind::kTorchLegacy:
      return {"torch",
              absl::StrCat("torch.load(", quoted, ", map_location=\"cpu\", weights_only=False)")};
    case FileKind::kTorchScript:
      return {"torch", absl::StrCat("torch.jit.load(", quoted, ").state_dict()")};
    case FileKind::kSafetensors:
      return {"safetensors.numpy", absl::StrCat("safetensors.numpy.load_file(", quoted, ")")};
    case FileKind::kObjectNpy:
      return {"numpy", absl::StrCat("numpy.load(", quoted, ", allow_pickle=True).tolist()")};
    case FileKind::kNpz:
      return {"numpy", absl::StrCat("dict(numpy.load(", quoted, "))")};
    case FileKind::kHdf5:
      return {"h5py", absl::StrCat("{k: v[()] for k, v in h5py.File(", quoted, ").items()}")};
    case FileKind::kMatlab:
      // Beside arrays, there are notes about the file: __header__ and the like.
      return {"scipy.io", absl::StrCat("{k: v for k, v in scipy.io.loadmat(", quoted,
                                       ").items() if k[0] != \"_\"}")};
    case FileKind::kParquet:
      return {"pandas", absl::StrCat("pandas.read_parquet(", quoted, ").to_dict(\"list\")")};
    default:
      return {"", ""};
  }
}

// What to do with a file that is not the one it should be, whatever it is wanted for; "" for those
// that hold data.
std::string AdviceForAnyUse(FileKind kind, string_view path) {
  switch (kind) {
    case FileKind::kLfsPointer:
      return "run `git lfs pull` in the repository that it is from";
    case FileKind::kWebPage:
      return "look at it in a browser: it is often a login or a warning; download the file itself";
    case FileKind::kDecodedBinary:
      return "bytes were lost by it: copy or download the file again, as binary";
    case FileKind::kTextModePickle:
      return absl::StrCat(
          "copy it again in binary mode, or in Python: open(\"converted.pkl\", "
          "\"wb\").write(open(\"",
          absl::CHexEscape(path), "\", \"rb\").read().replace(b\"\\r\\n\", b\"\\n\"))");
    case FileKind::kAppleDouble:
      return "name the file beside it, whose name is the same without \"._\"";
    case FileKind::kUtf16:
      return absl::StrCat("save it as UTF-8, or in Python: open(\"converted\", \"w\", encoding=",
                          "\"utf-8\").write(open(\"", absl::CHexEscape(path),
                          "\", encoding=\"utf-16\").read())");
    case FileKind::kGzip:
      return "unpack it, for example with `gunzip`, and name the file in it";
    case FileKind::kBzip2:
      return "unpack it, for example with `bunzip2`, and name the file in it";
    case FileKind::kXz:
      return "unpack it, for example with `unxz`, and name the file in it";
    case FileKind::kZstandard:
      return "unpack it, for example with `unzstd`, and name the file in it";
    case FileKind::kZlib:
      return absl::StrCat("unpack it, in Python: import zlib; open(\"converted\", \"wb\").write(",
                          "zlib.decompress(open(\"", absl::CHexEscape(path),
                          "\", \"rb\").read()))");
    case FileKind::kZip:
    case FileKind::kArchive:
      return "unpack it and name the file in it";
    case FileKind::kOffice:
      return "export its table as CSV";
    case FileKind::kPdf:
      return "name the file that the data are in";
    default:
      return "";
  }
}

}  // namespace

bool IsGzip(string_view head) { return absl::StartsWith(head, "\x1F\x8B\x08"); }

// RFC 1950: the second byte makes a multiple of 31 of both, and no dictionary is needed.
bool IsZlib(string_view head) {
  return head.size() > 2 && head[0] == '\x78' && (head[1] & 0x20) == 0 &&
         (0x78 << 8 | static_cast<uint8_t>(head[1])) % 31 == 0;
}

FileKind FileKindOf(string_view content) {
  if (content.empty()) return FileKind::kEmpty;
  if (absl::StartsWith(content, "PK\3\4") || absl::StartsWith(content, "PK\5\6")) {
    return ZipKind(content);
  }
  if (IsTextModePickle(content)) return FileKind::kTextModePickle;
  if (content[0] == '\x80' && absl::StrContains(content, "joblib.numpy_pickle")) {
    return FileKind::kJoblib;
  }
  for (const Signature& signature : kSignatures) {
    if (!absl::StartsWith(content, signature.bytes)) continue;
    return signature.kind == FileKind::kNpy ? NpyKind(content) : signature.kind;
  }
  if (IsGzip(content)) return FileKind::kGzip;
  if (IsZlib(content)) return FileKind::kZlib;
  if (IsSafetensors(content)) return FileKind::kSafetensors;
  if (IsWideText(content)) return FileKind::kUtf16;
  if (content.size() > 262 && content.substr(257, 5) == "ustar") return FileKind::kArchive;
  return TextKind(content);
}

string_view FileKindName(FileKind kind) {
  switch (kind) {
    case FileKind::kUnknown:
      return "";
    case FileKind::kEmpty:
      return "an empty file";
    case FileKind::kRecords:
      return "a record file of `cmerc data convert`";
    case FileKind::kPickle:
      return "a Python pickle";
    case FileKind::kJoblib:
      return "a file of joblib.dump()";
    case FileKind::kTextModePickle:
      return "a Python pickle that was copied in text mode, with CR LF for every LF";
    case FileKind::kDecodedBinary:
      return "a binary file that was read and written as text";
    case FileKind::kTorchZip:
      return "a file of torch.save()";
    case FileKind::kTorchLegacy:
      return "a file of torch.save() before PyTorch 1.6";
    case FileKind::kTorchScript:
      return "a file of torch.jit.save()";
    case FileKind::kSafetensors:
      return "a file of safetensors";
    case FileKind::kNpy:
      return "one array of numpy.save()";
    case FileKind::kObjectNpy:
      return "Python objects in a file of numpy.save()";
    case FileKind::kNpz:
      return "an .npz of NumPy arrays";
    case FileKind::kHdf5:
      return "an HDF5 file";
    case FileKind::kMatlab:
      return "a file of MATLAB";
    case FileKind::kParquet:
      return "a Parquet file";
    case FileKind::kOffice:
      return "a file of Excel or another office program";
    case FileKind::kZip:
      return "a zip archive";
    case FileKind::kGzip:
      return "a gzip file";
    case FileKind::kZlib:
      return "a zlib file";
    case FileKind::kBzip2:
      return "a bzip2 file";
    case FileKind::kXz:
      return "an xz file";
    case FileKind::kZstandard:
      return "a Zstandard file";
    case FileKind::kArchive:
      return "an archive of 7z, rar or tar";
    case FileKind::kPdf:
      return "a PDF document";
    case FileKind::kAppleDouble:
      return "a companion file of macOS";
    case FileKind::kLfsPointer:
      return "a pointer of git-lfs, not the file itself";
    case FileKind::kWebPage:
      return "a web page";
    case FileKind::kUtf16:
      return "text in UTF-16";
    case FileKind::kJson:
      return "JSON";
    case FileKind::kJsonList:
      return "one JSON list";
    case FileKind::kMeldCsv:
      return "a CSV file with the columns of MELD";
    case FileKind::kCsv:
      return "a CSV file";
  }
  return "";
}

std::string FileKindAdvice(FileKind kind, FileUse use, string_view path) {
  std::string advice = AdviceForAnyUse(kind, path);
  if (!advice.empty() || kind == FileKind::kUnknown || kind == FileKind::kEmpty) return advice;
  const Loading loading = LoadingOf(kind, path);
  if (use == FileUse::kConversations && kind == FileKind::kPickle) {
    return absl::StrCat(
        "a feature file is read by cmerc.OfficialPicklesOptions in a config, and `cmerc data "
        "describe "
        "FILE` shows what is in it: ",
        kDocs);
  }
  const bool by_python = !loading.expression.empty();
  // An .npz is a dict of arrays, which no official feature file is.
  if (use == FileUse::kPickle && by_python && kind != FileKind::kNpz) {
    return absl::StrCat("in Python: import ", loading.imports, ", pickle; pickle.dump(",
                        loading.expression, ", open(\"converted.pkl\", \"wb\"))");
  }
  if (use == FileUse::kArrays && by_python) {
    return absl::StrCat("in Python: import ", loading.imports,
                        ", numpy; numpy.savez(\"converted.npz\", **{str(k): numpy.asarray(v) for "
                        "k, v in ",
                        loading.expression, ".items()})");
  }
  if (use == FileUse::kArrays && kind == FileKind::kNpy) {
    return absl::StrCat(
        "it has no id: name its folder where every file is called ID.npy, or in Python: import "
        "numpy; numpy.savez(\"converted.npz\", **{id: numpy.load(\"",
        absl::CHexEscape(path), "\")})");
  }
  if (use == FileUse::kCheckpoint && by_python) {
    return absl::StrCat("in Python: import ", loading.imports,
                        ", torch; torch.save({k: torch.as_tensor(v) for k, v in ",
                        loading.expression, ".items()}, \"converted.pth\")");
  }
  if (use == FileUse::kCheckpoint) return "name DIR/selected.pth of a run";
  if (kind == FileKind::kNpz && use == FileUse::kPickle) {
    return absl::StrCat(
        "what `cmerc data convert` wrote is read by cmerc.RecordsOptions { file: }, arrays by id "
        "by "
        "modality_files of cmerc.OfficialPicklesOptions: ",
        kDocs);
  }
  if ((kind == FileKind::kJson || kind == FileKind::kRecords) && use == FileUse::kPickle) {
    return absl::StrCat("a conversation a line is read by cmerc.RecordsOptions { file: }; others: ",
                        kDocs);
  }
  if (kind == FileKind::kMeldCsv && use != FileUse::kUtterances) {
    return absl::StrCat(
        "name it in utterances_csv of cmerc.OfficialPicklesOptions, with modality_files, since it "
        "has "
        "speakers, labels and sentences but no features: ",
        kDocs);
  }
  return absl::StrCat("see ", kDocs);
}

std::string WrongFileKind(string_view content, FileUse use, string_view path) {
  const FileKind kind = FileKindOf(content);
  if (kind == FileKind::kUnknown || kind == FileKind::kEmpty) return "";
  string_view want;
  switch (use) {
    case FileUse::kPickle:
      if (kind == FileKind::kPickle) return "";
      want = "a Python pickle";
      break;
    case FileUse::kConversations:
      if (kind == FileKind::kJson || kind == FileKind::kRecords) return "";
      want = "JSON Lines, a record file or an .npz of `cmerc data convert`";
      break;
    case FileUse::kCheckpoint:
      // What PyTorch and its users write is for that reader to describe.
      if (kind == FileKind::kTorchZip || kind == FileKind::kTorchScript ||
          kind == FileKind::kTorchLegacy || kind == FileKind::kSafetensors ||
          kind == FileKind::kPickle) {
        return "";
      }
      want = "a checkpoint of `cmerc train` or of torch.save()";
      break;
    case FileUse::kArrays:
      if (kind == FileKind::kPickle || kind == FileKind::kNpz) return "";
      want = "arrays by id: an .npz, a folder of .npy files or the pickle of a dict";
      break;
    case FileUse::kUtterances:
      if (kind == FileKind::kCsv || kind == FileKind::kMeldCsv) return "";
      want = "CSV with the columns of MELD";
      break;
  }
  return absl::StrCat("is ", FileKindName(kind), ", want ", want, "; ",
                      FileKindAdvice(kind, use, path));
}

}  // namespace cmerc
