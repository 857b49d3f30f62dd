#include "packages/man_page.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace cmerc {
namespace {

// Where a package puts the configs.
constexpr char kShared[] = "/usr/share/cmerc";

// Text of which nothing is markup: characters that a typesetter would make something else of stay
// as they are, so that flags and commands can be copied.
std::string Plain(const std::string& text) {
  const std::string escaped = absl::StrReplaceAll(text, {{"\\", "\\e"},
                                                         {"-", "\\-"},
                                                         {"'", "\\(aq"},
                                                         {"`", "\\(ga"},
                                                         {"\"", "\\(dq"},
                                                         {"~", "\\(ti"},
                                                         {"^", "\\(ha"}});
  return absl::StartsWith(escaped, ".") ? absl::StrCat("\\&", escaped) : escaped;
}

std::string Bold(const std::string& text) { return absl::StrCat("\\fB", Plain(text), "\\fR"); }

std::string Italic(const std::string& text) { return absl::StrCat("\\fI", Plain(text), "\\fR"); }

// "cmerc data {describe|convert} [FLAG]... [FILE]..."
std::string Synopsis(const CommandSpec& command) {
  std::string line = Bold(absl::StrCat("cmerc ", command.name));
  if (!command.actions.empty()) {
    absl::StrAppend(&line, " {", Bold(absl::StrJoin(command.actions, "|")), "}");
  }
  if (!command.flags.empty()) absl::StrAppend(&line, " [", Italic("FLAG"), "]...");
  if (command.words == Words::kFiles) absl::StrAppend(&line, " [", Italic("FILE"), "]...");
  if (command.words == Words::kTopic) absl::StrAppend(&line, " [", Italic("NAME"), "]");
  return line;
}

void AppendItem(const std::string& tag, const std::string& text, std::string* page) {
  absl::StrAppend(page, ".TP\n", tag, "\n", Plain(text), "\n");
}

void AppendCommand(const CommandSpec& command, std::string* page) {
  absl::StrAppend(page, ".SS ", command.name, "\n", Plain(command.purpose), "\n.PP\n.EX\n");
  for (const absl::string_view line : absl::StrSplit(ExampleOf(command, kShared), "\n  ")) {
    absl::StrAppend(page, Plain(absl::StrCat("  ", line)), "\n");
  }
  absl::StrAppend(page, ".EE\n");
  for (const FlagSpec& flag : command.flags) {
    std::string tag = Bold(absl::StrCat("--", flag.name));
    if (!flag.value.empty()) absl::StrAppend(&tag, "=", Italic(flag.value));
    AppendItem(tag, flag.help, page);
  }
}

void AppendExitStatus(std::string* page) {
  absl::StrAppend(page, ".SH EXIT STATUS\n");
  AppendItem(Bold("0"), "all is well.", page);
  AppendItem(Bold("1"), "the run failed after it had begun.", page);
  AppendItem(Bold("2"), "wrong usage or input; nothing has been written.", page);
  AppendItem(Bold("130") + ", " + Bold("143"), "stopped by Ctrl-C or by SIGTERM.", page);
}

void AppendEnvironment(std::string* page) {
  absl::StrAppend(page, ".SH ENVIRONMENT\n");
  AppendItem(Bold("OMP_NUM_THREADS"),
             "how many threads are used where training.threads of the config is 0: one for each "
             "processor if it is not set.",
             page);
  AppendItem(Bold("OMP_WAIT_POLICY") + ", " + Bold("GOMP_SPINCOUNT"),
             "how threads wait for each other. If neither is set they sleep soon, which is best "
             "beside other work.",
             page);
}

void AppendFiles(std::string* page) {
  absl::StrAppend(page, ".SH FILES\n");
  AppendItem(Italic(absl::StrCat(kShared, "/examples")),
             "configs to start from, which the documentation calls config/examples. "
             "quickstart.textproto needs no data.",
             page);
  AppendItem(Italic(absl::StrCat(kShared, "/experiments")), "plans of many runs.", page);
  AppendItem(Italic(absl::StrCat(kShared, "/layouts")),
             "how feature files of other projects are read.", page);
  AppendItem(Italic("/usr/share/doc/cmerc"), "README.md, and the pages of docs/ which it leads to.",
             page);
}

}  // namespace

std::string ManPage(const std::vector<CommandSpec>& commands, const std::string& version) {
  std::string page = absl::StrCat(
      ".\\\" Written from the table of commands of `cmerc`.\n"
      ".TH CMERC 1 \"\" \"cmerc ",
      version,
      "\" \"User Commands\"\n"
      ".nr HY 0\n.nh\n.ad l\n"  // nothing that can be copied is divided or stretched
      ".SH NAME\n"
      "cmerc \\- emotion recognition in conversations, calibrated over modalities and "
      "contexts\n"
      ".SH SYNOPSIS\n.nf\n");
  for (const CommandSpec& command : commands) absl::StrAppend(&page, Synopsis(command), "\n");
  absl::StrAppend(
      &page, Bold("cmerc --version"), "\n.fi\n.SH DESCRIPTION\n",
      Plain("Every utterance of a conversation, given feature vectors of its text, audio and "
            "video, gets an emotion; the model learns to be at least as sure of the true emotion "
            "with all the evidence as with one source of it removed. What is trained, on what and "
            "how is said by a config in Protobuf's text format."),
      "\n.PP\n",
      Plain("A flag is written --name=value or --name value. Paths are relative to the "
            "folder in which the command is given; ~/ in front of one is the user's "
            "home folder. A first try, which takes about a minute and no data:"),
      "\n.PP\n.EX\n",
      Plain(absl::StrCat("  cmerc train --config=", kShared, "/examples/quickstart.textproto")),
      "\n.EE\n.SH COMMANDS\n");
  for (const CommandSpec& command : commands) AppendCommand(command, &page);
  AppendExitStatus(&page);
  AppendEnvironment(&page);
  AppendFiles(&page);
  return page;
}

}  // namespace cmerc
