// What users of other programs type, and what it is called here.
#ifndef CMERC_BIN_HABITS_H_
#define CMERC_BIN_HABITS_H_

#include <map>
#include <string>

namespace cmerc {

// Flags of other programs, the official code's among them, and the path of the option that a config
// has for each: "lr" -> "training.learning_rate". Lower case, with _ for -.
const std::map<std::string, std::string>& FlagHabits();

// "--set=training.learning_rate=0.1" for the flag "lr" and the value "0.1" ("" where none was
// given); "" for a flag that is in no table.
std::string SetInPlaceOf(const std::string& flag, const std::string& value);

// Commands of other programs, and the command that is meant: "eval" -> "evaluate".
const std::map<std::string, std::string>& CommandHabits();

}  // namespace cmerc

#endif  // CMERC_BIN_HABITS_H_
