#include "config/text_parser.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "config/field_names.h"
#include "registry/bare_number.pb.h"
#include "registry/range.pb.h"
#include "registry/registry.h"

namespace cmerc::config {
namespace {

using google::protobuf::Any;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;
using google::protobuf::io::Tokenizer;

// A message quotes at most so many bytes of a bad value.
constexpr size_t kMaxQuoted = 60;

const Descriptor* FindPlugin(const std::string& type_name) {
  for (const RegistryBase* registry : AllRegistries()) {
    const auto it = registry->plugins().find(type_name);
    if (it != registry->plugins().end()) return it->second.options;
  }
  return nullptr;
}

class SilentCollector final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

class Parser final : public google::protobuf::io::ErrorCollector {
 public:
  Parser(const std::string& text, const std::string& source, Problems* problems, Findings* findings)
      : source_(source), problems_(*problems), findings_(*findings) {
    google::protobuf::io::ArrayInputStream input(text.data(), static_cast<int>(text.size()));
    Tokenizer tokenizer(&input, this);
    // These are the settings of TextFormat::Parser.
    tokenizer.set_allow_f_after_float(true);
    tokenizer.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
    while (tokenizer.Next()) tokens_.push_back(tokenizer.current());
    tokens_.push_back(tokenizer.current());  // TYPE_END
  }

  void Parse(Message* message) { ParseFields("", "", message); }

 private:
  // Called by the tokenizer with what is wrong; it counts lines and columns from 0.
  void AddError(int line, int column, const std::string& message) override {
    problems_.Add(AtPlace(line, column, message));
  }

  // "SOURCE:LINE:COLUMN: message".
  std::string AtPlace(int line, int column, const std::string& message) const {
    return absl::StrCat(source_, ":", line + 1, ":", column + 1, ": ", message);
  }

  void Report(const Tokenizer::Token& at, const std::string& message) {
    AddError(at.line, at.column, message);
  }

  const Tokenizer::Token& token() const { return tokens_[at_]; }
  bool AtEnd() const { return token().type == Tokenizer::TYPE_END; }
  bool Is(absl::string_view symbol) const {
    return token().type == Tokenizer::TYPE_SYMBOL && token().text == symbol;
  }
  bool Accept(absl::string_view symbol) {
    if (!Is(symbol)) return false;
    ++at_;
    return true;
  }
  bool AtMessage() const { return Is("{") || Is("<"); }

  // Reports that the text is not what it should be here; nothing after this place can be trusted.
  bool SyntaxError(const std::string& expected) {
    Report(token(), AtEnd() ? absl::StrCat("the text ends; expected ", expected)
                            : absl::StrCat("expected ", expected, ", got ", token().text));
    return false;
  }

  // The functions below return false after a syntax error. `path` is where the value goes
  // ("backbone[cmerc.M3NetOptions].dropout"), for messages.

  // Parses fields up to and including `closing` ("" for the end of the text).
  bool ParseFields(const std::string& path, const std::string& closing, Message* message) {
    const Tokenizer::Token opening = tokens_[at_ == 0 ? 0 : at_ - 1];
    if (++depth_ > kDeepestConfig) {
      Report(opening, absl::StrCat("messages are nested deeper than ", kDeepestConfig));
      return false;
    }
    while (true) {
      if (AtEnd()) {
        if (closing.empty()) return true;
        Report(opening, absl::StrCat("\"", opening.text, "\" is never closed"));
        return false;
      }
      if (!closing.empty() && Accept(closing)) break;
      if (!ParseField(path, message)) return false;
      if (!Accept(";")) Accept(",");
    }
    --depth_;
    return true;
  }

  bool ParseField(const std::string& path, Message* message) {
    const Tokenizer::Token name = token();
    if (Is("[")) return ParseBracket(path, message);
    if (name.type != Tokenizer::TYPE_IDENTIFIER) return SyntaxError("the name of a field");
    ++at_;
    const Descriptor& type = *message->GetDescriptor();
    // The own fields of an Any are bytes and the name of their type: text must not set these.
    if (type.full_name() == Any::descriptor()->full_name()) {
      Report(name, absl::StrCat("expected [type.googleapis.com/TYPE] { ... }, got ", name.text));
      return SkipValue();
    }
    const FieldDescriptor* field = FindField(type, name.text);
    if (field == nullptr) {
      Report(name, UnknownField(name.text, type));
      return SkipValue();
    }
    if (field->name() != name.text) NoteFormerName(name, *field);
    const std::string field_path = absl::StrCat(path, path.empty() ? "" : ".", field->name());
    const std::string conflict = Conflict(*message, *field);
    if (!conflict.empty()) {
      Report(name, absl::StrCat(field_path, conflict, "; keep one"));
      return SkipValue();
    }
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!Accept(":") && !AtMessage() && !(is_message && Is("["))) {
      return SyntaxError(absl::StrCat(is_message ? "{" : ":", " after ", name.text));
    }
    if (!field->is_repeated() || !Accept("[")) return ParseValue(field_path, field, message);
    if (Accept("]")) return true;
    do {
      if (!ParseValue(field_path, field, message)) return false;
    } while (Accept(","));
    return Accept("]") || SyntaxError("] or ,");
  }

  // What else in `message` excludes another value of `field`; "" if nothing does.
  static std::string Conflict(const Message& message, const FieldDescriptor& field) {
    const google::protobuf::Reflection& reflection = *message.GetReflection();
    if (!field.is_repeated() && reflection.HasField(message, &field)) {
      const google::protobuf::FieldOptions& options = field.options();
      if (options.ExtensionSize(former_name) == 0) return " is given twice";
      return absl::StrCat(" is given twice (it was once called ",
                          absl::StrJoin(options.GetRepeatedExtension(former_name), ", "), ")");
    }
    const FieldDescriptor* other =
        field.containing_oneof() == nullptr
            ? nullptr
            : reflection.GetOneofFieldDescriptor(message, field.containing_oneof());
    return other == nullptr ? "" : absl::StrCat(" is given beside ", other->name());
  }

  void NoteFormerName(const Tokenizer::Token& name, const FieldDescriptor& field) {
    const std::string full_name =
        absl::StrCat(field.containing_type()->full_name(), ".", name.text);
    if (!findings_.former_names.insert(full_name).second) return;
    findings_.warnings.push_back(
        AtPlace(name.line, name.column,
                absl::StrCat(name.text, " is now called ", field.name(),
                             "; the former name is still read, but better write the new one")));
  }

  // Parses one value of `field`.
  bool ParseValue(std::string path, const FieldDescriptor* field, Message* message) {
    const google::protobuf::Reflection* reflection = message->GetReflection();
    if (field->is_repeated()) {
      absl::StrAppend(&path, "[", reflection->FieldSize(*message, field), "]");
    }
    const size_t start = at_;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && AtMessage()) {
      const std::string closing = Is("{") ? "}" : ">";
      ++at_;
      return ParseFields(path, closing,
                         field->is_repeated() ? reflection->AddMessage(message, field)
                                              : reflection->MutableMessage(message, field));
    }
    if (!SkipOneValue()) return false;
    const bool bare = field->options().GetExtension(bare_number) && at_ == start + 1 &&
                      tokens_[start].type == Tokenizer::TYPE_INTEGER;
    const std::string text = bare ? absl::StrCat("\"", Text(start), "\"") : Text(start);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      SilentCollector silent;
      TextFormat::Parser parser;
      parser.RecordErrorsTo(&silent);
      if (parser.ParseFieldValueFromString(text, field, message)) return true;
    }
    Report(tokens_[start],
           absl::StrCat(path, " = ",
                        text.size() <= kMaxQuoted ? text : text.substr(0, kMaxQuoted) + "...",
                        ", must be ", AllowedValues(*field)));
    return true;
  }

  // Parses "[type.googleapis.com/cmerc.M3NetOptions] { ... }" inside an Any.
  bool ParseBracket(const std::string& path, Message* message) {
    const Tokenizer::Token open = token();
    ++at_;
    std::string url;
    while (!Is("]")) {
      if (token().type != Tokenizer::TYPE_IDENTIFIER && !Is(".") && !Is("/") && !Is("-")) {
        return SyntaxError("[type.googleapis.com/TYPE]");
      }
      url += token().text;
      ++at_;
    }
    ++at_;
    auto* any = dynamic_cast<Any*>(message);
    const size_t slash = url.rfind('/');
    const std::string type_name = url.substr(slash + 1);  // all of it if there is no slash
    if (any == nullptr) {
      Report(open, absl::StrCat(path.empty() ? "the config" : path, " takes no plugin; remove [",
                                url, "]"));
      return SkipValue();
    }
    const std::string type_url = absl::StrCat("type.googleapis.com/", type_name);
    if (slash == std::string::npos || slash == 0) {
      Report(open, absl::StrCat("write [", type_url, "] instead of [", url, "]"));
    }
    if (!any->type_url().empty()) {
      Report(open, absl::StrCat(path, " is given twice, as ", PluginType(*any), " and as ",
                                type_name, "; keep one"));
      return SkipValue();
    }
    const Descriptor* type = FindPlugin(type_name);
    if (type == nullptr) {
      Report(open, UnknownPluginMessage(type_name));
      findings_.unknown_plugins.insert(type_name);
      any->set_type_url(type_url);
      return SkipValue();
    }
    Accept(":");
    if (!AtMessage()) return SyntaxError(absl::StrCat("{ after [", url, "]"));
    const std::string closing = Is("{") ? "}" : ">";
    ++at_;
    const std::unique_ptr<Message> options(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
    const bool ok = ParseFields(absl::StrCat(path, "[", type_name, "]"), closing, options.get());
    any->set_type_url(type_url);
    any->set_value(options->SerializePartialAsString());
    return ok;
  }

  // Skips the value of an unknown field, with its colon.
  bool SkipValue() {
    const bool colon = Accept(":");
    if (!colon && !AtMessage()) return SyntaxError(": or {");
    return SkipOneValue();
  }

  // Skips a scalar, a message or a list, whatever is in it.
  bool SkipOneValue() {
    if (AtMessage() || Is("[")) {
      const Tokenizer::Token opening = token();
      int depth = 0;
      do {
        if (AtEnd()) {
          Report(opening, absl::StrCat("\"", opening.text, "\" is never closed"));
          return false;
        }
        if (AtMessage() || Is("[")) ++depth;
        if (Is("}") || Is(">") || Is("]")) --depth;
        ++at_;
      } while (depth > 0);
      return true;
    }
    if (token().type == Tokenizer::TYPE_STRING) {
      while (token().type == Tokenizer::TYPE_STRING) ++at_;  // adjacent strings are one
      return true;
    }
    Accept("-");
    if (token().type != Tokenizer::TYPE_INTEGER && token().type != Tokenizer::TYPE_FLOAT &&
        token().type != Tokenizer::TYPE_IDENTIFIER) {
      return SyntaxError("a value");
    }
    ++at_;
    return true;
  }

  // The text of the tokens from `start` up to the present one.
  std::string Text(size_t start) const {
    std::string text;
    for (size_t i = start; i < at_; ++i) {
      const bool space = i > start && tokens_[i - 1].text != "-";
      absl::StrAppend(&text, space ? " " : "", tokens_[i].text);
    }
    return text;
  }

  const std::string& source_;
  Problems& problems_;
  Findings& findings_;
  std::vector<Tokenizer::Token> tokens_;  // the last is TYPE_END
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

void ParseText(const std::string& text, const std::string& source, Message* message,
               Problems* problems, Findings* findings) {
  message->Clear();
  Parser(text, source, problems, findings).Parse(message);
}

std::string AllowedValues(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return "an integer of 32 bits";
    case FieldDescriptor::CPPTYPE_INT64:
      return "an integer of 64 bits";
    case FieldDescriptor::CPPTYPE_UINT32:
      return "an integer of 32 bits, 0 or more";
    case FieldDescriptor::CPPTYPE_UINT64:
      return "an integer of 64 bits, 0 or more";
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_STRING:
      return field.options().GetExtension(bare_number) ? "an integer or a string in quotes"
                                                       : "a string in quotes";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "a message in { }";
    case FieldDescriptor::CPPTYPE_ENUM:
      break;
  }
  std::vector<std::string> values;
  for (int i = 0; i < field.enum_type()->value_count(); ++i) {
    values.push_back(field.enum_type()->value(i)->name());
  }
  return absl::StrCat("one of ", absl::StrJoin(values, ", "));
}

}  // namespace cmerc::config
