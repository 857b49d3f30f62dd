#include "bytes/npy.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bytes/array_elements.h"
#include "bytes/little_endian.h"
#include "core/status.h"

namespace cmerc {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 62;
constexpr size_t kMostAxes = 32;  // NumPy's own limit

// Walks the Python literal that the header is: {'descr': '<f4', 'fortran_order': False, 'shape':
// (3, 2), }. Each function returns whether that was next, and moves behind it.
class Literal {
 public:
  explicit Literal(absl::string_view text) : text_(text) {}

  bool Take(absl::string_view token) {
    text_ = absl::StripLeadingAsciiWhitespace(text_);
    if (!absl::StartsWith(text_, token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  bool TakeText(absl::string_view* text) {
    text_ = absl::StripLeadingAsciiWhitespace(text_);
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) return false;
    const size_t end = text_.find(text_[0], 1);
    if (end == absl::string_view::npos) return false;
    *text = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return true;
  }
  bool TakeSize(int64_t* size) {
    text_ = absl::StripLeadingAsciiWhitespace(text_);
    size_t digits = 0;
    while (digits < text_.size() && absl::ascii_isdigit(text_[digits])) ++digits;
    if (!absl::SimpleAtoi(text_.substr(0, digits), size)) return false;
    text_.remove_prefix(digits);
    Take("L");  // of Python 2
    return true;
  }
  bool TakeBool(bool* value) {
    *value = Take("True");
    return *value || Take("False");
  }
  bool TakeShape(std::vector<int64_t>* shape) {
    if (!Take("(")) return false;
    while (!Take(")")) {
      int64_t size;
      if (shape->size() == kMostAxes || !TakeSize(&size)) return false;
      shape->push_back(size);
      if (!Take(",") && !absl::StartsWith(absl::StripLeadingAsciiWhitespace(text_), ")")) {
        return false;
      }
    }
    return true;
  }
  bool AtEnd() { return absl::StripLeadingAsciiWhitespace(text_).empty(); }

 private:
  absl::string_view text_;
};

// Reads "<f4", "|b1", "|O", ...; returns whether it is one.
bool ReadType(absl::string_view type, NpyHeader* header) {
  if (type.size() < 2) return false;
  if (absl::string_view("<>=|").find(type[0]) == absl::string_view::npos) return false;
  header->big_endian = type[0] == '>';
  header->kind = type[1];
  absl::string_view digits = type.substr(2);
  digits = digits.substr(0, digits.find('['));  // dates have a unit: "<M8[ns]"
  if (!digits.empty() && (!std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) ||
                          !absl::SimpleAtoi(digits, &header->item_size))) {
    return false;
  }
  if (header->item_size > int64_t{1} << 40) return false;
  if (header->kind == 'U') header->item_size *= 4;
  return absl::ascii_isalpha(header->kind);
}

bool ReadFields(absl::string_view text, NpyHeader* header, absl::string_view* type) {
  Literal literal(text);
  if (!literal.Take("{")) return false;
  int seen = 0;
  while (!literal.Take("}")) {
    absl::string_view key;
    if (!literal.TakeText(&key) || !literal.Take(":")) return false;
    if (key == "descr" && (seen & 1) == 0) {
      if (!literal.TakeText(type)) return false;
      seen |= 1;
    } else if (key == "fortran_order" && (seen & 2) == 0) {
      if (!literal.TakeBool(&header->fortran_order)) return false;
      seen |= 2;
    } else if (key == "shape" && (seen & 4) == 0) {
      if (!literal.TakeShape(&header->shape)) return false;
      seen |= 4;
    } else {
      return false;
    }
    literal.Take(",");
  }
  return seen == 7 && literal.AtEnd();
}

}  // namespace

std::string NpyHeader::Describe() const {
  std::string type;
  switch (kind) {
    case 'b':
      type = "bool";
      break;
    case 'i':
      type = absl::StrCat("int", item_size * 8);
      break;
    case 'u':
      type = absl::StrCat("uint", item_size * 8);
      break;
    case 'f':
      type = absl::StrCat("float", item_size * 8);
      break;
    case 'c':
      type = absl::StrCat("complex", item_size * 8);
      break;
    case 'U':
      type = absl::StrCat("text of ", item_size / 4, " characters,");
      break;
    case 'S':
      type = absl::StrCat("text of ", item_size, " bytes,");
      break;
    case 'O':
      type = "object";
      break;
    default:
      type = absl::StrCat("dtype ", std::string(1, kind), item_size);
  }
  return absl::StrCat(type, " array of shape [", absl::StrJoin(shape, ", "), "]");
}

absl::StatusOr<NpyHeader> ParseNpyHeader(absl::string_view bytes) {
  constexpr size_t kMagic = sizeof(kNpyMagic) - 1;
  if (!absl::StartsWith(bytes, kNpyMagic) || bytes.size() < kMagic + 4) {
    return absl::InvalidArgumentError("does not begin as a .npy file does");
  }
  const int version = static_cast<uint8_t>(bytes[kMagic]);
  if (version < 1 || version > 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("is a .npy file of version ", version, ", want 1 to 3"));
  }
  const int length_size = version == 1 ? 2 : 4;
  const size_t begin = kMagic + 2 + length_size;
  const absl::Status cut_short =
      absl::InvalidArgumentError("ends within the header of a .npy file");
  if (bytes.size() < begin) return cut_short;
  const uint64_t length = ReadLittleEndian(bytes, kMagic + 2, length_size);
  if (bytes.size() - begin < length) return cut_short;
  const absl::string_view text = bytes.substr(begin, length);
  NpyHeader header;
  header.data_begin = begin + length;
  absl::string_view type;
  if (!ReadFields(text, &header, &type) || !ReadType(type, &header)) {
    return absl::InvalidArgumentError(
        absl::StrCat("has the header ", absl::Utf8SafeCHexEscape(text.substr(0, 100)),
                     ", want {'descr': '<f4', ...} with a simple dtype and a shape"));
  }
  int64_t bound = std::max<int64_t>(1, header.item_size);
  for (const int64_t size : header.shape) {
    const int64_t factor = std::max<int64_t>(1, size);
    if (bound >= kMostBytes / factor) {
      return absl::InvalidArgumentError(
          absl::StrCat("is a ", header.Describe(), ", more than any file holds"));
    }
    bound *= factor;
    header.num_elements *= size;
  }
  return header;
}

absl::Status CheckNumbers(const NpyHeader& header) {
  if (IsReadableElement(header.kind, header.item_size)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("is ", header.Describe(), ", want numbers; in Python: x.astype(\"float32\")"));
}

template <typename T>
absl::Status CopyNpy(absl::string_view file, const NpyHeader& header, absl::Span<T> out) {
  RETURN_IF_ERROR(CheckNumbers(header));
  // No overflow: ParseNpyHeader() has seen to it.
  const auto size = static_cast<uint64_t>(header.num_elements * header.item_size);
  if (file.size() - header.data_begin != size) {
    return absl::InvalidArgumentError(absl::StrCat("has ", file.size() - header.data_begin,
                                                   " bytes of elements, want ", size, " for ",
                                                   header.Describe(), "; copy or write it again"));
  }
  const ArrayElements elements = {header.kind,       header.item_size,
                                  header.big_endian, header.fortran_order,
                                  header.shape,      file.data() + header.data_begin};
  if (CopyElements(elements, out.data())) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("is ", header.Describe(), " with others than integers of 64 bits"));
}

template absl::Status CopyNpy<float>(absl::string_view, const NpyHeader&, absl::Span<float>);
template absl::Status CopyNpy<int64_t>(absl::string_view, const NpyHeader&, absl::Span<int64_t>);

}  // namespace cmerc
