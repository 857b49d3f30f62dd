#include "config/catalogue.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "config/run.pb.h"
#include "config/text_parser.h"
#include "registry/nearest_name.h"
#include "registry/proto_source.h"
#include "registry/range_check.h"
#include "registry/registry.h"

namespace cmerc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::io::Tokenizer;

constexpr size_t kWidth = 96;
// The column where "# type" starts beside short fields.
constexpr size_t kTypeColumn = 44;

// From the full name of a message, field, enum or enum value, or the path of a .proto file, to its
// comment.
using Comments = std::map<std::string, std::string>;

class IgnoreErrors final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

// Reads the comments of one .proto file, which protoc has accepted. (protobuf's own parser of
// .proto files is not among the headers of libprotobuf.)
class CommentReader {
 public:
  CommentReader(const std::string& path, const char* text, Comments* comments)
      : comments_(*comments) {
    google::protobuf::io::ArrayInputStream input(text, static_cast<int>(std::strlen(text)));
    IgnoreErrors ignore_errors;
    Tokenizer tokenizer(&input, &ignore_errors);
    std::vector<std::string> statement;  // its words so far
    std::string* comment = nullptr;      // the comment of the statement that ended last
    std::string statement_comment, trailing, leading;
    int brackets = 0;  // [default = 1, (cmerc.range) = {min: 1}] is part of a statement
    while (tokenizer.NextWithComments(&trailing, nullptr, &leading)) {
      if (comment != nullptr) *comment += trailing;
      comment = nullptr;
      const std::string& word = tokenizer.current().text;
      if (statement.empty()) statement_comment = leading;
      brackets += word == "[" ? 1 : word == "]" ? -1 : 0;
      if (brackets > 0 || (word != ";" && word != "{" && word != "}")) {
        statement.push_back(word);
        continue;
      }
      if (word == "}") {
        if (!scopes_.empty()) scopes_.pop_back();
      } else if (!statement.empty()) {
        const std::string name = statement[0] == "syntax" ? path : Declare(statement, word == "{");
        if (!name.empty()) {
          comment = &comments_[name];
          *comment = statement_comment;
        }
      }
      statement.clear();
    }
  }

 private:
  struct Scope {
    std::string kind;    // "message", "enum", "oneof", ...
    std::string prefix;  // of the full names of what is declared in it
  };

  // The full name of what `statement` declares, or "". Enters its scope if it `opens` one.
  std::string Declare(const std::vector<std::string>& statement, bool opens) {
    const std::string& kind = statement[0];
    const std::string prefix = scopes_.empty() ? package_ : scopes_.back().prefix;
    if (opens) {
      const std::string name = statement.size() > 1 ? prefix + statement[1] : "";
      // An enum's values and a oneof's fields belong to the scope around it, as in C++.
      scopes_.push_back({kind, kind == "message" ? name + "." : prefix});
      return kind == "message" || kind == "enum" ? name : "";
    }
    if (kind == "package") {
      package_ = absl::StrJoin(statement.begin() + 1, statement.end(), "") + ".";
    }
    const bool holds_names = !scopes_.empty() && scopes_.back().kind != "extend";
    const auto equals = std::find(statement.begin(), statement.end(), "=");
    if (!holds_names || kind == "option" || equals == statement.begin() ||
        equals == statement.end()) {
      return "";
    }
    return prefix + *(equals - 1);
  }

  Comments& comments_;
  std::string package_;
  std::vector<Scope> scopes_;
};

Comments ReadComments() {
  Comments comments;
  for (const auto& [path, text] : ProtoSources()) CommentReader(path, text, &comments);
  return comments;
}

// Appends the words of `text` in lines of at most kWidth columns; the first starts with `first`,
// the others with `rest`.
void AppendWrapped(absl::string_view text, const std::string& first, const std::string& rest,
                   std::string* out) {
  std::string line = first;
  bool empty = true;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipWhitespace())) {
    if (!empty && line.size() + 1 + word.size() > kWidth) {
      absl::StrAppend(out, line, "\n");
      line = rest;
      empty = true;
    }
    absl::StrAppend(&line, empty ? "" : " ", word);
    empty = false;
  }
  absl::StrAppend(out, absl::StripTrailingAsciiWhitespace(line), "\n");
}

// Appends a comment, which protoc keeps with a space before each line. Lines run together into
// paragraphs; a line that is indented further (an example, a formula) stays as it is.
void AppendComment(const std::string& comment, const std::string& prefix, std::string* out) {
  if (comment.empty()) return;
  std::string paragraph;
  const auto flush = [&] {
    if (!paragraph.empty()) AppendWrapped(paragraph, prefix, prefix, out);
    paragraph.clear();
  };
  for (absl::string_view line : absl::StrSplit(absl::StripTrailingAsciiWhitespace(comment), '\n')) {
    const absl::string_view words = absl::StripAsciiWhitespace(line);
    const bool as_is = absl::StartsWith(line, "  ");
    if (words.empty() || as_is) flush();
    if (as_is) {
      absl::StrAppend(out, prefix, line.substr(1), "\n");
    } else if (words.empty()) {
      absl::StrAppend(out, absl::StripTrailingAsciiWhitespace(prefix), "\n");
    } else {
      absl::StrAppend(&paragraph, paragraph.empty() ? "" : " ", words);
    }
    // What follows a colon is an example or a list.
    if (absl::EndsWith(words, ":")) flush();
  }
  flush();
}

class Renderer {
 public:
  explicit Renderer(const Comments& comments) : comments_(comments) {}

  // Appends the comment of `type`, or else of its file, as plain text.
  void AppendPurpose(const Descriptor& type, const std::string& indent) {
    const std::string& comment = Comment(type.full_name());
    AppendComment(comment.empty() ? Comment(type.file()->name()) : comment, indent, &out_);
  }

  // Appends every field of `type`, in the form of a config.
  void AppendFields(const Descriptor& type, const std::string& indent) {
    open_.push_back(&type);
    for (int i = 0; i < type.field_count(); ++i) {
      if (i > 0 && (HasComment(*type.field(i)) || HasComment(*type.field(i - 1)))) out_ += "\n";
      AppendField(*type.field(i), indent);
    }
    open_.pop_back();
  }

  void Append(const std::string& text) { out_ += text; }
  std::string Take() { return std::move(out_); }

 private:
  const std::string& Comment(const std::string& name) const {
    static const auto* none = new std::string;
    const auto it = comments_.find(name);
    return it == comments_.end() ? *none : it->second;
  }

  static std::string Scope(const EnumDescriptor& type) {
    return type.full_name().substr(0, type.full_name().size() - type.name().size());
  }

  bool HasValueComments(const EnumDescriptor& type) const {
    for (int i = 0; i < type.value_count(); ++i) {
      if (!Comment(Scope(type) + type.value(i)->name()).empty()) return true;
    }
    return false;
  }

  bool HasComment(const FieldDescriptor& field) const {
    return !Comment(field.full_name()).empty() ||
           field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE ||
           (field.enum_type() != nullptr && HasValueComments(*field.enum_type()));
  }

  void AppendField(const FieldDescriptor& field, const std::string& indent) {
    AppendComment(Comment(field.full_name()), indent + "# ", &out_);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      AppendMessageField(field, indent);
      return;
    }
    std::string type = field.is_repeated() ? "repeated " : "";
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      const bool listed = HasValueComments(*field.enum_type());
      if (listed) AppendEnumValues(*field.enum_type(), indent);
      type += listed ? "one of the above" : config::AllowedValues(field);
    } else {
      type += field.type_name();
    }
    const std::string range = RangeText(field.options().GetExtension(cmerc::range));
    if (!range.empty()) absl::StrAppend(&type, ", ", range);
    const std::string oneof = OneofText(field);
    std::string value = absl::StrCat(field.name(), ":");
    if (field.is_repeated()) {
      value += " []";
    } else if (field.has_default_value()) {
      std::string text;
      google::protobuf::TextFormat::PrintFieldValueToString(
          *google::protobuf::MessageFactory::generated_factory()->GetPrototype(
              field.containing_type()),
          &field, -1, &text);
      absl::StrAppend(&value, " ", text);
    } else {
      type += field.is_required() ? ", required" : ", unset";
    }
    if (!oneof.empty()) absl::StrAppend(&type, "; ", oneof);
    // What is not set by default is commented out, so that the whole stays a config.
    if (!oneof.empty() || value.back() == ':') value = "# " + value;
    const std::string line = indent + value;
    const size_t column = std::max(kTypeColumn, line.size() + 2);
    const std::string first = line + std::string(column - line.size(), ' ') + "# ";
    AppendWrapped(type, first, std::string(column, ' ') + "# ", &out_);
  }

  // "at most one of a, b" for a member of a oneof, else "".
  static std::string OneofText(const FieldDescriptor& field) {
    if (field.containing_oneof() == nullptr) return "";
    std::vector<std::string> names;
    for (int i = 0; i < field.containing_oneof()->field_count(); ++i) {
      names.push_back(field.containing_oneof()->field(i)->name());
    }
    return absl::StrCat("at most one of ", absl::StrJoin(names, ", "));
  }

  void AppendEnumValues(const EnumDescriptor& type, const std::string& indent) {
    AppendComment(Comment(type.full_name()), indent + "# ", &out_);
    for (int i = 0; i < type.value_count(); ++i) {
      const std::string& name = type.value(i)->name();
      const std::string& comment = Comment(Scope(type) + name);
      AppendWrapped(absl::StrCat(name, comment.empty() ? "" : ": ",
                                 absl::StrReplaceAll(comment, {{"\n", " "}})),
                    indent + "#   ", indent + "#       ", &out_);
    }
  }

  void AppendMessageField(const FieldDescriptor& field, const std::string& indent) {
    const Descriptor& type = *field.message_type();
    const std::string oneof = OneofText(field);
    const std::string note = field.is_repeated() ? "  # repeated"
                             : oneof.empty()     ? ""
                                                 : absl::StrCat("  # ", oneof);
    if (type.full_name() == google::protobuf::Any::descriptor()->full_name()) {
      absl::StrAppend(&out_, indent, "# ", field.name(), " { [type.googleapis.com/TYPE] { ... } }",
                      note, "\n");
      return;
    }
    if (std::find(open_.begin(), open_.end(), &type) != open_.end()) {
      absl::StrAppend(&out_, indent, "# ", field.name(), " { ... }  # another ", type.full_name(),
                      "\n");
      return;
    }
    AppendComment(Comment(type.full_name()), indent + "# ", &out_);
    absl::StrAppend(&out_, indent, field.name(), " {", note, "\n");
    AppendFields(type, indent + "  ");
    absl::StrAppend(&out_, indent, "}\n");
  }

  const Comments& comments_;
  std::vector<const Descriptor*> open_;  // the messages around the present field
  std::string out_;
};

void AppendPlugin(const RegistryBase& registry, const Descriptor& type, Renderer* renderer) {
  renderer->Append(absl::StrCat(registry.kind(), " ", ShortPluginName(type.full_name()), "  (",
                                type.file()->name(), ")\n"));
  renderer->AppendPurpose(type, "  ");
  renderer->Append(absl::StrCat("\n  [type.googleapis.com/", type.full_name(), "] {",
                                type.field_count() == 0 ? " }\n" : "\n"));
  if (type.field_count() == 0) return;
  renderer->AppendFields(type, "    ");
  renderer->Append("  }\n");
}

// What names are compared by: "babystep" for "cmerc.BabyStepOptions", "BabyStep" and "baby_step".
std::string SearchKey(const std::string& name) {
  return absl::AsciiStrToLower(absl::StrReplaceAll(ShortPluginName(name), {{"_", ""}, {"-", ""}}));
}

}  // namespace

std::string Catalogue() {
  const Comments comments = ReadComments();
  Renderer renderer(comments);
  for (const RegistryBase* registry : AllRegistries()) {
    const std::string title =
        absl::StrCat(PluralKind(registry->kind()), " (", registry->plugins().size(), ")");
    renderer.Append(absl::StrCat(registry == AllRegistries().front() ? "" : "\n",
                                 absl::AsciiStrToUpper(title), "\n"));
    for (const auto& [name, plugin] : registry->plugins()) {
      renderer.Append("\n");
      AppendPlugin(*registry, *plugin.options, &renderer);
    }
  }
  return renderer.Take();
}

absl::StatusOr<std::string> Catalogue(const std::string& name) {
  const Comments comments = ReadComments();
  Renderer renderer(comments);
  bool found = false;
  // A name with a package must match in full.
  const bool full = absl::StrContains(name, ".");
  for (const RegistryBase* registry : AllRegistries()) {
    const bool whole_kind = absl::EqualsIgnoreCase(name, registry->kind()) ||
                            absl::EqualsIgnoreCase(name, PluralKind(registry->kind()));
    for (const auto& [type_name, plugin] : registry->plugins()) {
      const bool same =
          full ? absl::EqualsIgnoreCase(name, type_name) : SearchKey(name) == SearchKey(type_name);
      if (!same && !whole_kind) continue;
      if (found) renderer.Append("\n");
      found = true;
      AppendPlugin(*registry, *plugin.options, &renderer);
    }
  }
  if (!found) return absl::NotFoundError(UnknownPluginMessage(name));
  return renderer.Take();
}

std::string ConfigReference(const std::string& field) {
  const FieldDescriptor* const found = RunConfig::descriptor()->FindFieldByName(field);
  if (found == nullptr || found->message_type() == google::protobuf::Any::descriptor()) return "";
  const Comments comments = ReadComments();
  Renderer renderer(comments);
  renderer.Append(absl::StrCat(field, " {\n"));
  renderer.AppendFields(*found->message_type(), "  ");
  renderer.Append("}\n");
  return renderer.Take();
}

std::string ConfigReference() {
  const Comments comments = ReadComments();
  Renderer renderer(comments);
  renderer.AppendFields(*RunConfig::descriptor(), "");
  return renderer.Take();
}

}  // namespace cmerc
