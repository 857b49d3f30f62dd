// Reads protobuf's text format and says everything that is wrong with it. TextFormat::Parser stops
// at the first bad value, and does not know which plugins are linked in.
#ifndef CMERC_CONFIG_TEXT_PARSER_H_
#define CMERC_CONFIG_TEXT_PARSER_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <set>
#include <string>
#include <vector>

#include "core/problems.h"

namespace cmerc::config {

// How deep messages and plugins may be nested: deeper than any config; keeps hostile text from
// exhausting the stack.
constexpr int kDeepestConfig = 50;

// What the parser found besides problems, in all texts that one config is made of.
struct Findings {
  // Plugins that are not linked in, which were reported with their place in the text.
  std::set<std::string> unknown_plugins;
  // Former names that were used, with their message ("cmerc.GruOptions.hidden_size"), and what to
  // say of each: its first place in the text and the present name.
  std::set<std::string> former_names;
  std::vector<std::string> warnings;
};

// Parses `text` over an empty `message`; what is wrong is left out of it and appended to `problems`
// as "SOURCE:LINE:COLUMN: ..." (both from 1; a tab goes to the next multiple of 8). `source` is a
// file name or "--set='...'". A google.protobuf.Any must hold the options of a linked plugin,
// as text. A field may have its (cmerc.former_name).
void ParseText(const std::string& text, const std::string& source,
               google::protobuf::Message* message, Problems* problems, Findings* findings);

// "one of A, B, C", "an integer", ...: the values that a scalar field may take, its range aside.
std::string AllowedValues(const google::protobuf::FieldDescriptor& field);

}  // namespace cmerc::config

#endif  // CMERC_CONFIG_TEXT_PARSER_H_
