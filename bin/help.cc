#include "bin/help.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bin/configs_folder.h"

namespace cmerc {

std::string Help() {
  std::string text =
      "cmerc: emotion recognition in conversations, calibrated over modalities and contexts "
      "(CMERC)\n\nUsage: cmerc COMMAND [FLAGS]\n\n";
  for (const CommandSpec& command : CommandSpecs()) {
    absl::StrAppendFormat(&text, "  %-12s %s\n", command.name, command.purpose);
  }
  absl::StrAppend(
      &text,
      "\ncmerc help COMMAND shows its flags, cmerc help config what a config may say, cmerc help "
      "losses or\ncmerc help Gru the options of plugins, cmerc --version what is linked in.\n"
      "Exit status: 0 ok, 1 the run failed, 2 bad usage or input. A file that --output names "
      "appears when\nall is done; where that is a link, what it leads to is written. What is "
      "there already is kept:\n--overwrite replaces a file of the same kind, and nothing replaces "
      "what a command reads.\n");
  return text;
}

std::string HelpOn(const CommandSpec& command) {
  return absl::StrCat(command.purpose, "\n\n  ", ExampleOf(command, ConfigsFolder()), "\n",
                      command.flags.empty() ? "" : "\n", FlagHelp(command.flags));
}

}  // namespace cmerc
