#include "tests/schedulers/scheduler_testing.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/text_format.h>

#include "absl/strings/str_cat.h"

namespace cmerc {

absl::StatusOr<std::unique_ptr<Scheduler>> SchedulerFromText(const std::string& type,
                                                             const std::string& options) {
  google::protobuf::Any any;
  const std::string text = absl::StrCat("[type.googleapis.com/", type, "] {", options, "}");
  if (!google::protobuf::TextFormat::ParseFromString(text, &any)) {
    return absl::InvalidArgumentError(absl::StrCat("cannot parse ", text));
  }
  return Schedulers().Create(any);
}

}  // namespace cmerc
