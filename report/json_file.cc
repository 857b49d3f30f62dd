#include "report/json_file.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace cmerc {
namespace {

// A text, given to its reader a line at a time: the number of lines taken when the reader stops at
// an error says where the error is.
class LineStream final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  explicit LineStream(absl::string_view text) : text_(text) {}

  bool Next(const void** data, int* size) override {
    if (position_ == text_.size()) return false;
    const size_t end = std::min(text_.find('\n', position_), text_.size() - 1) + 1;
    *data = text_.data() + position_;
    *size = static_cast<int>(end - position_);
    position_ = end;
    ++line_;
    return true;
  }
  void BackUp(int count) override {
    position_ -= count;
    --line_;
  }
  bool Skip(int count) override {
    position_ = std::min(text_.size(), position_ + count);
    return position_ < text_.size();
  }
  int64_t ByteCount() const override { return static_cast<int64_t>(position_); }

  int line() const { return line_; }

 private:
  const absl::string_view text_;
  size_t position_ = 0;
  int line_ = 0;
};

// What Protobuf says of an error, on one line and without the text that it quotes. When a value
// does not fit its field, it says "(field): ...", but only after it has read the whole file, and so
// the line that it has come to means nothing.
std::string FirstLine(absl::string_view message, bool* names_a_field) {
  message = absl::StripAsciiWhitespace(message.substr(0, message.find('\n')));
  absl::ConsumeSuffix(&message, ".");
  const size_t end = message.find("): ");
  *names_a_field = absl::ConsumePrefix(&message, "(") && end != absl::string_view::npos;
  if (!*names_a_field) return std::string(message);
  return absl::StrCat(message.substr(0, end - 1), message.substr(end));
}

}  // namespace

absl::StatusOr<std::string> ReadReportFile(const std::string& path, absl::string_view remedy) {
  std::error_code none;
  const auto type = std::filesystem::status(path, none).type();
  if (type == std::filesystem::file_type::directory) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a folder, not a file; ", remedy));
  }
  // Reading a named pipe might never begin, and reading a device never end.
  if (std::filesystem::exists(std::filesystem::file_status(type)) &&
      type != std::filesystem::file_type::regular) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is a pipe or a device, not a file; ", remedy));
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::string text;
  if (in) text.assign(std::istreambuf_iterator<char>(in), {});
  if (in.good() || in.eof()) return text;
  const int error = errno != 0 ? errno : EIO;
  const absl::StatusCode code = error == ENOENT || error == ENOTDIR ? absl::StatusCode::kNotFound
                                : error == EACCES ? absl::StatusCode::kPermissionDenied
                                                  : absl::StatusCode::kInvalidArgument;
  return absl::Status(code, absl::StrCat(path, ": ", std::strerror(error), "; ", remedy));
}

absl::Status Malformed(const std::string& place, absl::string_view problem,
                       absl::string_view remedy) {
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", problem, "; ", remedy));
}

absl::Status ParseReport(const std::string& path, absl::string_view text, int line,
                         absl::string_view remedy, google::protobuf::Message* message) {
  const auto place = [&](int at) { return at > 0 ? absl::StrCat(path, ":", at) : path; };
  if (absl::StripAsciiWhitespace(text).empty()) {
    return Malformed(place(line), "is empty, want a JSON object", remedy);
  }
  const google::protobuf::Descriptor* descriptor = message->GetDescriptor();
  const std::unique_ptr<google::protobuf::util::TypeResolver> resolver(
      google::protobuf::util::NewTypeResolverForDescriptorPool("type.googleapis.com",
                                                               descriptor->file()->pool()));
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  LineStream input(text);
  std::string wire;
  google::protobuf::io::StringOutputStream output(&wire);
  const auto status = google::protobuf::util::JsonToBinaryStream(
      resolver.get(), absl::StrCat("type.googleapis.com/", descriptor->full_name()), &input,
      &output, options);
  if (!status.ok()) {
    bool names_a_field = false;
    const std::string problem =
        FirstLine({status.message().data(), status.message().size()}, &names_a_field);
    return Malformed(place(line > 0 || names_a_field ? line : input.line()), problem, remedy);
  }
  if (!message->ParseFromString(wire)) {
    return Malformed(place(line), "not a report of this kind", remedy);
  }
  return absl::OkStatus();
}

}  // namespace cmerc
