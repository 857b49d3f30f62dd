#include "packages/completion.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cmerc {
namespace {

constexpr char kBegin[] = R"(# Bash completion of `cmerc`, written from the table of its commands.

_cmerc() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  local flag='' prefix=''
  # Of the command: its flags, which of them name files, folders or something else; what may stand
  # beside them: words, files after one of the words (an action), files.
  local flags='' files='' folders='' values='' words='' actions='' takes_files=''
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
)";

constexpr char kEnd[] = R"(    esac
  fi

  # Bash takes --flag=value apart at the "=", unless that is no longer in its COMP_WORDBREAKS.
  if [[ $word == --*=* ]]; then
    flag=${word%%=*}
    prefix=$flag=
    word=${word#*=}
  elif [[ $word == "=" ]]; then
    flag=$before
    word=''
  elif [[ $before == "=" ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]}
  elif [[ -n $before && " $files $folders $values " == *" $before "* ]]; then
    flag=$before
  fi
  if [[ -n $flag && " $files " == *" $flag "* ]]; then
    # Without an answer, bash completes names of files; in front of those it leaves no prefix.
    [[ -z $prefix ]] || mapfile -t COMPREPLY < <(compgen -f -P "$prefix" -- "$word")
    return
  elif [[ -n $flag && " $folders " == *" $flag "* ]]; then
    compopt +o default -o dirnames 2> /dev/null
    [[ -z $prefix ]] || mapfile -t COMPREPLY < <(compgen -d -P "$prefix" -- "$word")
    return
  elif [[ -n $flag ]]; then
    compopt +o default 2> /dev/null
    return
  fi

  local i
  for ((i = 2; i < COMP_CWORD; ++i)); do
    [[ -z $actions || " $actions " != *" ${COMP_WORDS[i]} "* ]] || actions=''
  done
  if [[ $word == -* ]]; then
    words=$flags
  elif [[ -n $actions ]]; then
    words=$actions
  elif [[ -n $takes_files ]]; then
    return
  elif [[ -z $words ]]; then
    words=$flags
  fi
  compopt +o default 2> /dev/null
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  # Behind "--flag=" comes its value, without a space.
  if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2> /dev/null; fi
}

complete -o default -F _cmerc cmerc
)";

// "    NAME='a b c'\n" with `indent` in front, or nothing where there is none.
void AppendList(const char* indent, const char* name, const std::vector<std::string>& entries,
                std::string* script) {
  if (entries.empty()) return;
  absl::StrAppend(script, indent, name, "='", absl::StrJoin(entries, " "), "'\n");
}

void AppendFlags(const std::vector<FlagSpec>& specs, std::string* script) {
  std::vector<std::string> flags, files, folders, values;
  for (const FlagSpec& spec : specs) {
    const std::string flag = absl::StrCat("--", spec.name);
    const bool is_switch = spec.kind == FlagSpec::Kind::kSwitch;
    flags.push_back(is_switch ? flag : absl::StrCat(flag, "="));
    if (is_switch) continue;
    (spec.value == "FILE" ? files : spec.value == "DIR" ? folders : values).push_back(flag);
  }
  flags.push_back("--help");
  AppendList("        ", "flags", flags, script);
  AppendList("        ", "files", files, script);
  AppendList("        ", "folders", folders, script);
  AppendList("        ", "values", values, script);
}

}  // namespace

std::string BashCompletion(const std::vector<CommandSpec>& commands, const Topics& topics) {
  std::vector<std::string> names;
  for (const CommandSpec& command : commands) names.push_back(command.name);
  std::string script = kBegin;
  AppendList("    ", "words", names, &script);
  AppendList("    ", "flags", {"--help", "--version"}, &script);
  absl::StrAppend(&script, "  else\n    case ${COMP_WORDS[1]} in\n");
  for (const CommandSpec& command : commands) {
    absl::StrAppend(&script, "      ", command.name, ")\n");
    AppendFlags(command.flags, &script);
    AppendList("        ", "actions", command.actions, &script);
    if (command.words == Words::kFiles) absl::StrAppend(&script, "        takes_files=1\n");
    if (command.words == Words::kTopic) {
      std::vector<std::string> words;
      if (command.name == "help") {
        words = names;
        // A field of a config may be called like a command, as "data" is.
        for (const std::string& topic : topics.config) {
          if (std::find(names.begin(), names.end(), topic) == names.end()) words.push_back(topic);
        }
      }
      words.insert(words.end(), topics.plugins.begin(), topics.plugins.end());
      AppendList("        ((COMP_CWORD > 2)) || ", "words", words, &script);
    }
    absl::StrAppend(&script, "        ;;\n");
  }
  return absl::StrCat(script, kEnd);
}

}  // namespace cmerc
