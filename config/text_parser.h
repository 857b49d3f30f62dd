// Reads protobuf's text format and says everything that is wrong with it. TextFormat::Parser stops
// at the first bad value, and does not know which plugins are linked in.
#ifndef CMERC_CONFIG_TEXT_PARSER_H_
#define CMERC_CONFIG_TEXT_PARSER_H_

#include <google/protobuf/message.h>

#include <set>
#include <string>
#include <vector>

namespace cmerc {

// What is wrong with a config, gathered so that it can be told at once.
struct Problems {
  std::vector<std::string> messages;
  // Plugins that are not linked in, already told of with their place in the text.
  std::set<std::string> unknown_plugins;
};

// Parses `text` over an empty `message`; what is wrong is left out of it and appended to `problems`
// as "SOURCE:LINE:COLUMN: ..." (both from 1; a tab goes to the next multiple of 8). `source` is a
// file name or "--set='...'". A google.protobuf.Any must hold the options of a linked plugin.
void ParseText(const std::string& text, const std::string& source,
               google::protobuf::Message* message, Problems* problems);

// "one of A, B, C", "an integer", ...: the values that a scalar field may take, its range aside.
std::string AllowedValues(const google::protobuf::FieldDescriptor& field);

}  // namespace cmerc

#endif  // CMERC_CONFIG_TEXT_PARSER_H_
