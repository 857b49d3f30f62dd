#include "config/paths.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "config/text_parser.h"
#include "core/home.h"
#include "registry/range.pb.h"
#include "registry/registry.h"

namespace cmerc {
namespace {

using config::kDeepestConfig;
using google::protobuf::Any;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Gets the place of a path ("data.dataset[cmerc.RecordsOptions].file") and the path; returns what
// takes its place.
using Visit = absl::FunctionRef<std::string(const std::string& place, const std::string& path)>;

void VisitPaths(const std::string& place, int depth, Visit visit, Message* message);

// The options in `any`, where a linked plugin has such. They are packed again only if a path has
// changed, since packing may change the bytes.
void VisitAny(const std::string& place, int depth, Visit visit, Any* any) {
  if (depth == kDeepestConfig) return;
  for (const RegistryBase* registry : AllRegistries()) {
    const absl::StatusOr<std::unique_ptr<Message>> options = registry->Unpack(*any);
    if (!options.ok()) continue;
    bool changed = false;
    VisitPaths(
        absl::StrCat(place, "[", PluginType(*any), "]"), depth + 1,
        [&](const std::string& where, const std::string& path) {
          std::string now = visit(where, path);
          changed = changed || now != path;
          return now;
        },
        options->get());
    if (changed) any->set_value((*options)->SerializePartialAsString());
    return;
  }
}

void VisitField(const std::string& place, int depth, const FieldDescriptor* field, Visit visit,
                Message* message) {
  const Reflection& reflection = *message->GetReflection();
  const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  const bool is_path = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING &&
                       field->options().GetExtension(cmerc::is_path);
  if (!is_message && !is_path) return;
  if (!field->is_repeated()) {
    if (is_message) {
      VisitPaths(place, depth, visit, reflection.MutableMessage(message, field));
    } else {
      reflection.SetString(message, field, visit(place, reflection.GetString(*message, field)));
    }
    return;
  }
  for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
    const std::string entry = absl::StrCat(place, "[", i, "]");
    if (is_message) {
      VisitPaths(entry, depth, visit, reflection.MutableRepeatedMessage(message, field, i));
    } else {
      reflection.SetRepeatedString(message, field, i,
                                   visit(entry, reflection.GetRepeatedString(*message, field, i)));
    }
  }
}

// Calls `visit` for every path that is set in `message`. `depth` is the number of plugins around
// it.
void VisitPaths(const std::string& place, int depth, Visit visit, Message* message) {
  if (auto* any = dynamic_cast<Any*>(message)) return VisitAny(place, depth, visit, any);
  std::vector<const FieldDescriptor*> fields;
  message->GetReflection()->ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    VisitField(absl::StrCat(place, place.empty() ? "" : ".", field->name()), depth, field, visit,
               message);
  }
}

}  // namespace

std::vector<std::string> PathsIn(const RunConfig& config) {
  std::vector<std::string> paths;
  RunConfig copy = config;
  VisitPaths(
      "", 0,
      [&](const std::string& /*place*/, const std::string& path) {
        if (!path.empty()) paths.push_back(path);
        return path;
      },
      &copy);
  return paths;
}

namespace config {

void ExpandHomes(Message* message, Problems* problems) {
  VisitPaths(
      "", 0,
      [&](const std::string& place, const std::string& path) {
        const absl::StatusOr<std::string> expanded = ExpandHome(path);
        if (expanded.ok()) return *expanded;
        problems->Add(absl::StrCat(place, " = ", expanded.status().message()));
        return path;
      },
      message);
}

}  // namespace config
}  // namespace cmerc
