// Markup that is HTML and XML at once: well-formed by construction, whatever the texts hold.
#ifndef CMERC_REPORT_MARKUP_H_
#define CMERC_REPORT_MARKUP_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace cmerc::report {

// A text as it stands in an element or an attribute: & < > " ' become entities; characters that XML
// forbids and bytes that are not UTF-8 become U+FFFD.
std::string EscapeXml(absl::string_view text);

class Markup {
 public:
  using Attributes = std::vector<std::pair<absl::string_view, std::string>>;

  Markup& Open(absl::string_view tag, const Attributes& attributes = {});
  // Closes the innermost open element; there is one.
  Markup& Close();
  // An element with a text: Open(), Text() and Close() at once.
  Markup& Element(absl::string_view tag, const Attributes& attributes, absl::string_view text);
  Markup& Element(absl::string_view tag, absl::string_view text) { return Element(tag, {}, text); }
  // Writes <tag/>, for SVG's shapes and for HTML's elements without content (meta, br).
  Markup& Empty(absl::string_view tag, const Attributes& attributes = {});
  Markup& Text(absl::string_view text);
  // Appends what another Markup has finished.
  Markup& Append(const std::string& finished);
  // Closes what is open and returns all.
  std::string Finish();

 private:
  void Tag(absl::string_view tag, const Attributes& attributes, absl::string_view end);

  std::string out_;
  std::vector<std::string> open_;
};

}  // namespace cmerc::report

#endif  // CMERC_REPORT_MARKUP_H_
