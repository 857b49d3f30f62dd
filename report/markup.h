// Markup that is HTML and XML at once: well-formed by construction, whatever the texts hold.
#ifndef CMERC_REPORT_MARKUP_H_
#define CMERC_REPORT_MARKUP_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace cmerc {

// For text and attribute values: & < > " ' become entities; characters that XML forbids and bytes
// that are not UTF-8 become U+FFFD.
std::string EscapeXml(absl::string_view text);

class Markup {
 public:
  using Attributes = std::vector<std::pair<absl::string_view, std::string>>;

  Markup& Open(absl::string_view tag, const Attributes& attributes = {});
  // Closes the innermost open element; there is one.
  Markup& Close();
  // Open, Text, Close.
  Markup& Element(absl::string_view tag, const Attributes& attributes, absl::string_view text);
  Markup& Element(absl::string_view tag, absl::string_view text) { return Element(tag, {}, text); }
  // <tag/>: for SVG's shapes and for HTML's elements without content (meta, br).
  Markup& Empty(absl::string_view tag, const Attributes& attributes = {});
  Markup& Text(absl::string_view text);
  // What another Markup has finished.
  Markup& Append(const std::string& finished);
  // Closes what is open.
  std::string Finish();

 private:
  void Tag(absl::string_view tag, const Attributes& attributes, absl::string_view end);

  std::string out_;
  std::vector<std::string> open_;
};

}  // namespace cmerc

#endif  // CMERC_REPORT_MARKUP_H_
