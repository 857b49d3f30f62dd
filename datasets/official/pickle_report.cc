#include "datasets/official/pickle_report.h"

#include <memory>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "datasets/official/conversation_index.h"
#include "datasets/official/layout_guess.h"
#include "datasets/official/official_layout.h"

namespace cmerc::datasets {
namespace {

// The layout that AUTO finds and that reads all of the file; nullopt where there is none.
std::optional<OfficialLayout> KnownLayout(const pickle::Document& document) {
  const absl::StatusOr<OfficialLayout> layout = DetectLayout(document);
  if (!layout.ok()) return std::nullopt;
  Budget budget(document.measured_size());
  const absl::StatusOr<ConversationIndex> index =
      ConversationIndex::Make(document, *layout, &budget);
  if (!index.ok() || !index->UnreadLists().empty()) return std::nullopt;
  return *layout;
}

}  // namespace

absl::StatusOr<PickleReport> ReportOnPickle(const std::string& path, const std::string& indent) {
  ASSIGN_OR_RETURN(const std::unique_ptr<pickle::Document> document, pickle::Document::Open(path));
  const LayoutGuess guess = GuessLayout(*document);
  PickleReport report;
  report.is_modality = guess.root == LayoutGuess::Root::kModality;
  report.text = absl::StrCat(path, "  a pickle of ", guess.glance, "\n", FieldLines(guess));
  const std::string file = absl::Utf8SafeCEscape(path);
  if (const std::optional<OfficialLayout> layout = KnownLayout(*document)) {
    report.options =
        absl::StrCat(indent, layout->has_audio() ? "features_file" : "roberta_file", ": \"", file,
                     "\"  # has the layout ", layout->name, ", which needs no fields\n");
  } else if (guess.root == LayoutGuess::Root::kFields || guess.root == LayoutGuess::Root::kSplits ||
             guess.root == LayoutGuess::Root::kConversations) {
    report.options =
        absl::StrCat(indent, "features_file: \"", file, "\"\n", FieldsBlock(guess, indent));
  }
  return report;
}

}  // namespace cmerc::datasets
