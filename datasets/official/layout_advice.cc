#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "datasets/official/field_path.h"
#include "datasets/official/layout_guess.h"

namespace cmerc::datasets {
namespace {

using Fields = OfficialPicklesOptions::Fields;
using Root = LayoutGuess::Root;

// Returns a path as a config gives it: 3, "videoLabels".
std::string Quoted(const std::string& path) {
  if (std::all_of(path.begin(), path.end(), absl::ascii_isdigit)) return path;
  return absl::StrCat("\"", absl::Utf8SafeCEscape(path), "\"");
}

// Returns a line of a block: `labels: 2  # or is it 3?`.
std::string BlockLine(const LayoutGuess& guess, const std::string& indent, const std::string& name,
                      const std::string& path) {
  const auto note = guess.notes.find(name);
  const bool has_note = note != guess.notes.end() && !note->second.empty();
  return absl::StrCat(indent, name, ": ", Quoted(path), has_note ? "  # " : "",
                      has_note ? note->second : "", "\n");
}

// Returns what is missing for a data set.
std::string Missing(const LayoutGuess& guess) {
  const Fields& fields = guess.fields;
  std::string missing;
  const auto miss = [&](bool has, absl::string_view what) {
    if (!has) absl::StrAppend(&missing, missing.empty() ? "" : ", ", what);
  };
  miss(fields.has_labels(), "labels");
  miss(fields.text_size() > 0 || fields.has_audio() || fields.has_visual(), "features");
  miss(fields.has_train_ids(), "train_ids");
  miss(fields.has_test_ids(), "test_ids");
  return missing;
}

}  // namespace

std::string FieldLines(const LayoutGuess& guess) {
  std::string lines;
  size_t longest = 0;
  std::vector<std::string> names;
  for (const FieldSight& sight : guess.sights) {
    names.push_back(sight.path.empty() ? guess.name
                                       : absl::StrCat(guess.name, "[", Quoted(sight.path), "]"));
    longest = std::max(longest, names.back().size());
  }
  for (size_t i = 0; i < names.size(); ++i) {
    absl::StrAppend(&lines, "  ", names[i], std::string(longest - names[i].size() + 2, ' '),
                    guess.sights[i].what, "\n");
  }
  return lines;
}

std::string FieldsBlock(const LayoutGuess& guess, const std::string& indent) {
  const Fields& fields = guess.fields;
  const std::string inner = indent + "  ";
  std::string block = absl::StrCat(indent, "fields {\n");
  const auto add = [&](const std::string& name, const std::string& path) {
    if (!path.empty()) absl::StrAppend(&block, BlockLine(guess, inner, name, path));
  };
  add("conversation_id", fields.conversation_id());
  add("ids", fields.ids());
  add("speakers", fields.speakers());
  add("labels", fields.labels());
  for (int i = 0; i < fields.text_size(); ++i) {
    if (i == 0) add("text", fields.text(i));
    if (i > 0) absl::StrAppend(&block, inner, "text: ", Quoted(fields.text(i)), "\n");
  }
  add("audio", fields.audio());
  add("visual", fields.visual());
  add("sentences", fields.sentences());
  add("train_ids", fields.train_ids());
  add("valid_ids", fields.valid_ids());
  add("test_ids", fields.test_ids());
  for (const std::string& path : fields.unused()) add("unused", path);
  const std::string missing = Missing(guess);
  if (!missing.empty()) absl::StrAppend(&block, inner, "# not found: ", missing, "\n");
  if (!fields.has_labels() && fields.text_size() > 0) {
    absl::StrAppend(
        &block, inner, "# features alone? beside a file with labels: ",
        "modality_files { modality: \"...\" file: \"...\" field: ", Quoted(fields.text(0)), " }\n");
  }
  return absl::StrCat(block, indent, "}\n");
}

std::string LayoutAdvice(const pickle::Document& document) {
  const LayoutGuess guess = GuessLayout(document);
  const std::string holds = absl::StrCat("It holds ", guess.glance);
  if (guess.root == Root::kModality) {
    return absl::StrCat(holds, ": features of one modality; name it in modality_files\n",
                        absl::StripSuffix(FieldLines(guess), "\n"));
  }
  if (guess.root == Root::kOther) return absl::StrCat(holds, ", which has no fields of features");
  return absl::StrCat(holds, ":\n", FieldLines(guess),
                      "Say in `fields` what they are; this is a guess, to be checked:\n",
                      absl::StripSuffix(FieldsBlock(guess, "  "), "\n"));
}

}  // namespace cmerc::datasets
