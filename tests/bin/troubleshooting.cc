#include "tests/bin/troubleshooting.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace cmerc {
namespace {

constexpr char kIntroduction[] =
    "# Troubleshooting\n\n"
    "What `cmerc` says to wrong use. Messages go to standard error, begin with `cmerc: ` and say\n"
    "where, what was found, what was expected and what to do. Exit status: 0 ok, 1 the run "
    "failed,\n"
    "2 bad usage or input; where it is 2 nothing has been written.\n\n"
    "Search this page for a few words of your message, without your own names and numbers. `…`\n"
    "stands for what a row leaves out. `tiny.textproto` is a small valid config and `run/` what\n"
    "training with it wrote; a row of `train` without `--config` was given it, and an unused\n"
    "`--output` is left out. `bazel run //bin:cmerc -- ARGUMENTS` is `cmerc ARGUMENTS` here.\n\n"
    "`bazel test //tests/bin:bad_input_test` does what each row says and compares; the page is\n"
    "written from its table by `bazel run //tests/bin:troubleshooting`.\n";

// "ConfigIsJson" -> "Config is json".
std::string Words(absl::string_view name) {
  std::string words;
  for (const char c : name) {
    if (absl::ascii_isupper(c) && !words.empty()) {
      absl::StrAppend(&words, " ", std::string(1, absl::ascii_tolower(c)));
    } else {
      words.push_back(c);
    }
  }
  return words;
}

// An argument with the quotes that a shell needs: --set=a b -> --set='a b'.
std::string Quoted(const std::string& arg) {
  const auto is_plain = [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("-_./=,:", c);
  };
  if (!arg.empty() && std::all_of(arg.begin(), arg.end(), is_plain)) return arg;
  const size_t equals = absl::StartsWith(arg, "--") ? arg.find('=') : std::string::npos;
  const size_t value = equals == std::string::npos ? 0 : equals + 1;
  const char* const quote = absl::StrContains(arg, '\'') ? "\"" : "'";
  return absl::StrCat(arg.substr(0, value), quote, arg.substr(value), quote);
}

// The command as a user types it, without what a row needs only to be a test.
std::string Typed(const BadInput& input) {
  std::string typed;
  for (const auto& [name, value] : input.environment) {
    absl::StrAppend(&typed, name, "=", value, " ");
  }
  absl::StrAppend(&typed, "cmerc");
  const int configs =
      std::count_if(input.args.begin(), input.args.end(),
                    [](const std::string& arg) { return absl::StartsWith(arg, "--config"); });
  const bool has_base = configs == 1 && input.args[0] == "train" && input.args.size() > 2;
  for (const std::string& arg : input.args) {
    if (arg == "--output=out/of/this") continue;
    if (has_base && arg == "--config=tiny.textproto") continue;
    absl::StrAppend(&typed, " ", Quoted(arg));
  }
  if (!input.standard_output.empty()) absl::StrAppend(&typed, " >", input.standard_output);
  absl::RemoveExtraAsciiWhitespace(&typed);
  return typed;
}

// A code span in a cell of a table, whatever the text.
std::string Code(const std::string& text) {
  const std::string escaped = absl::StrReplaceAll(text, {{"|", "\\|"}});
  return absl::StrContains(text, '`') ? absl::StrCat("`` ", escaped, " ``")
                                      : absl::StrCat("`", escaped, "`");
}

// The anchor that GitHub gives a heading.
std::string Anchor(absl::string_view title) {
  std::string anchor;
  for (const char c : title) {
    if (absl::ascii_isalnum(c)) anchor.push_back(absl::ascii_tolower(c));
    if (c == ' ') anchor.push_back('-');
  }
  return anchor;
}

}  // namespace

std::string TroubleshootingPage(const std::vector<BadInputTopic>& topics) {
  std::string page = absl::StrCat(kIntroduction, "\n");
  for (const BadInputTopic& topic : topics) {
    absl::StrAppend(&page, "- [", topic.title, "](#", Anchor(topic.title), ")\n");
  }
  for (const BadInputTopic& topic : topics) {
    absl::StrAppend(&page, "\n## ", topic.title,
                    "\n\n| wrong use | exit status | what `cmerc` says |\n| --- | --- | --- |\n");
    for (const BadInput& input : topic.cases) {
      std::vector<std::string> parts;
      for (const std::string& part : input.says) {
        parts.push_back(Code(std::string(absl::StripAsciiWhitespace(part))));
      }
      absl::StrAppend(&page, "| ", Words(input.name), ":<br>", Code(Typed(input)), " | ",
                      input.exit_code, " | ", absl::StrJoin(parts, " … "), " |\n");
    }
  }
  return page;
}

}  // namespace cmerc
