#include "metrics/json.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/type_resolver_util.h"

namespace cmerc {
namespace {

constexpr char kTypeUrlPrefix[] = "type.googleapis.com";

std::string Folder(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status WriteError(const std::string& path, int error) {
  std::string remedy;
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      remedy = absl::StrCat("create the folder ", Folder(path), " or choose another path");
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      remedy = absl::StrCat("choose a path you may write to, or change the permissions of ",
                            Folder(path));
      break;
    case ENOSPC:
    case EDQUOT:
      remedy = "free some disk space or choose a path on another disk";
      break;
    default:
      remedy = "choose another path";
  }
  return absl::Status(
      absl::ErrnoToStatusCode(error),
      absl::StrCat("cannot write ", path, ": ", std::strerror(error), "; ", remedy));
}

}  // namespace

std::string ToJson(const google::protobuf::Message& message, bool pretty) {
  // MessageToJsonString would write maps in the order of their hash, which changes between runs.
  std::string wire;
  {
    google::protobuf::io::StringOutputStream stream(&wire);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializePartialToCodedStream(&coded);
  }
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = pretty;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  const google::protobuf::Descriptor* descriptor = message.GetDescriptor();
  const std::unique_ptr<google::protobuf::util::TypeResolver> resolver(
      google::protobuf::util::NewTypeResolverForDescriptorPool(kTypeUrlPrefix,
                                                               descriptor->file()->pool()));
  std::string json;
  const auto status = google::protobuf::util::BinaryToJsonString(
      resolver.get(), absl::StrCat(kTypeUrlPrefix, "/", descriptor->full_name()), wire, &json,
      options);
  GOOGLE_CHECK(status.ok()) << descriptor->full_name() << " as JSON: " << status.ToString();
  return json;
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view contents) {
  std::string target = path;
  std::optional<mode_t> mode;  // a file keeps its own
  struct stat info;
  if (stat(path.c_str(), &info) == 0) {
    if (!S_ISREG(info.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot write ", path, ": it is ",
                       S_ISDIR(info.st_mode) ? "a folder" : "not a regular file",
                       "; choose the path of a file"));
    }
    char* resolved = realpath(path.c_str(), nullptr);
    if (resolved == nullptr) return WriteError(path, errno);
    target = resolved;
    std::free(resolved);
    if (access(target.c_str(), W_OK) != 0) return WriteError(path, errno);
    mode = info.st_mode & 0777;
  }

  // In the same folder, since rename() works within one file system only.
  static std::atomic<int> counter{0};
  std::string temporary;
  int file = -1;
  do {
    temporary = absl::StrCat(target, ".", getpid(), ".", counter++, ".tmp");
    file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (file < 0 && errno == EEXIST);
  if (file < 0) return WriteError(path, errno);
  absl::Cleanup discard = [&] {
    if (file >= 0) close(file);
    unlink(temporary.c_str());
  };
  if (mode.has_value() && fchmod(file, *mode) != 0) return WriteError(path, errno);
  while (!contents.empty()) {
    const ssize_t written = write(file, contents.data(), contents.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return WriteError(path, errno);
    }
    contents.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(file) != 0) return WriteError(path, errno);
  const int closed = close(file);
  file = -1;
  if (closed != 0) return WriteError(path, errno);
  if (rename(temporary.c_str(), target.c_str()) != 0) return WriteError(path, errno);
  std::move(discard).Cancel();

  // The new name, too, is to survive a power cut; not every file system can do this.
  const int folder = open(Folder(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
  return absl::OkStatus();
}

}  // namespace cmerc
