// Command-line flags: --name=value or --name value, in any order, and words without dashes.
// Behind a repeated flag, words of the form NAME=VALUE or NAME.NAME=VALUE are more values of it:
// --set training.epochs=3 backbone.dropout=0.4.
#ifndef CMERC_BIN_FLAGS_H_
#define CMERC_BIN_FLAGS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cmerc {

struct FlagSpec {
  enum class Kind { kValue, kRepeatedValue, kSwitch };
  std::string name;  // without dashes
  Kind kind = Kind::kValue;
  std::string help;  // one line
  // What a value looks like; empty for a switch. A "~/" in front of the value of a "FILE" or "DIR"
  // becomes the user's home folder, as it does in words.
  std::string value;
};

class Flags {
 public:
  // Reads `args`, what follows the command's name. InvalidArgument: an unknown flag (the message
  // has the nearest name, or the --set that does what other programs have such a flag for, and the
  // list), a flag without its value, a flag given twice, more words than `max_words`, or a "~/" and
  // no home folder.
  static absl::StatusOr<Flags> Parse(const std::vector<std::string>& args,
                                     const std::vector<FlagSpec>& specs, size_t max_words);

  bool has(const std::string& name) const { return values_.count(name) > 0; }
  // The value of a flag; "" where it is not given.
  std::string Get(const std::string& name) const;
  // All values of a repeated flag, in order.
  std::vector<std::string> All(const std::string& name) const;
  const std::vector<std::string>& words() const { return words_; }

 private:
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> words_;
};

// A line for each flag: "  --config=FILE   help".
std::string FlagHelp(const std::vector<FlagSpec>& specs);

}  // namespace cmerc

#endif  // CMERC_BIN_FLAGS_H_
