// Reads protobuf's text format and says everything that is wrong with it. TextFormat::Parser stops
// at the first bad value, and does not know which plugins are linked in.
#ifndef CMERC_CONFIG_TEXT_PARSER_H_
#define CMERC_CONFIG_TEXT_PARSER_H_

#include <google/protobuf/message.h>

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace cmerc {

// What is wrong with a config, gathered so that it can be told at once.
struct Problems {
  void Add(std::string message) {
    if (messages.size() < kMost) {
      messages.push_back(std::move(message));
    } else {
      ++more;
    }
  }
  bool empty() const { return messages.empty(); }

  static constexpr size_t kMost = 50;
  std::vector<std::string> messages;  // the first kMost
  size_t more = 0;                    // how many others there were
  // Plugins that are not linked in, already told of with their place in the text.
  std::set<std::string> unknown_plugins;
};

// How deep messages and plugins may be nested: deeper than any config; keeps hostile text from
// exhausting the stack.
constexpr int kDeepestConfig = 50;

// Parses `text` over an empty `message`; what is wrong is left out of it and appended to `problems`
// as "SOURCE:LINE:COLUMN: ..." (both from 1; a tab goes to the next multiple of 8). `source` is a
// file name or "--set='...'". A google.protobuf.Any must hold the options of a linked plugin,
// as text.
void ParseText(const std::string& text, const std::string& source,
               google::protobuf::Message* message, Problems* problems);

// "one of A, B, C", "an integer", ...: the values that a scalar field may take, its range aside.
std::string AllowedValues(const google::protobuf::FieldDescriptor& field);

}  // namespace cmerc

#endif  // CMERC_CONFIG_TEXT_PARSER_H_
