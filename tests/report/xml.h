// A strict reader of what the report writes, for tests: a document that it takes is well-formed
// XML.
#ifndef CMERC_TESTS_REPORT_XML_H_
#define CMERC_TESTS_REPORT_XML_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

struct XmlElement {
  std::string tag;
  std::map<std::string, std::string> attributes;
  // Its own text and that of what is in it, entities replaced.
  std::string text;
  std::vector<XmlElement> children;

  double number(const std::string& attribute) const;
};

// Elements, attributes, text and the predefined and numeric entities, after an optional doctype; no
// comment, CDATA or processing instruction, which the report does not write. InvalidArgument, with
// the place, for all else.
absl::StatusOr<XmlElement> ParseXml(absl::string_view text);

// Every element of this tag and (unless empty) this class, at any depth, in document order.
std::vector<XmlElement> FindAll(const XmlElement& root, const std::string& tag,
                                const std::string& style_class = "");

// The least width in pixels that the page gives this <table>, by the style sheet's rules for a
// window of 1200 pixels: of a cell of class "long" 112, in the heading 80, of another its longest
// word, each character as wide as text gets, with the padding of each column.
double LeastWidth(const XmlElement& table);

}  // namespace cmerc

#endif  // CMERC_TESTS_REPORT_XML_H_
