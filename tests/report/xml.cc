#include "tests/report/xml.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/status.h"

namespace cmerc {
namespace {

bool IsNameByte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == ':' ||
         c == '.';
}

class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  absl::StatusOr<XmlElement> Document() {
    if (Take("<!DOCTYPE html>")) SkipSpaces();
    absl::StatusOr<XmlElement> root = Element(0);
    if (!root.ok()) return root;
    SkipSpaces();
    if (at_ != text_.size()) return Error("text behind the document");
    return root;
  }

 private:
  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " at byte ", at_, ": ", text_.substr(at_, 60)));
  }
  bool Take(absl::string_view token) {
    if (!absl::StartsWith(text_.substr(at_), token)) return false;
    at_ += token.size();
    return true;
  }
  bool SkipSpaces() {
    const size_t start = at_;
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ > start;
  }
  std::string Name() {
    const size_t start = at_;
    while (at_ < text_.size() && IsNameByte(text_[at_])) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }

  // Text up to `end` or, with end = '<', a tag.
  absl::Status Characters(char end, std::string* out) {
    while (at_ < text_.size() && text_[at_] != end) {
      const char c = text_[at_];
      if (c == '<') return Error("a bare <");
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') {
        return Error("a control character");
      }
      if (c != '&') {
        out->push_back(c);
        ++at_;
        continue;
      }
      bool known = false;
      for (const auto& [entity, character] :
           {std::make_pair("&amp;", '&'), std::make_pair("&lt;", '<'), std::make_pair("&gt;", '>'),
            std::make_pair("&quot;", '"'), std::make_pair("&#39;", '\'')}) {
        if (!Take(entity)) continue;
        out->push_back(character);
        known = true;
        break;
      }
      if (!known) return Error("an unknown entity");
    }
    return at_ < text_.size() ? absl::OkStatus() : Error("the end inside a text");
  }

  absl::Status Attributes(XmlElement* element) {
    while (SkipSpaces()) {
      if (at_ < text_.size() && (text_[at_] == '>' || text_[at_] == '/')) break;
      const std::string name = Name();
      if (name.empty() || !Take("=\"")) return Error("no attribute");
      if (element->attributes.count(name) > 0) return Error("an attribute twice");
      RETURN_IF_ERROR(Characters('"', &element->attributes[name]));
      ++at_;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<XmlElement> Element(int depth) {
    if (depth > 50) return Error("too deep");
    XmlElement element;
    if (!Take("<")) return Error("no element");
    element.tag = Name();
    if (element.tag.empty()) return Error("no name");
    RETURN_IF_ERROR(Attributes(&element));
    if (Take("/>")) return element;
    if (!Take(">")) return Error("no end of the tag");
    while (true) {
      RETURN_IF_ERROR(Characters('<', &element.text));
      if (Take("</")) {
        if (Name() != element.tag || !Take(">")) {
          return Error(absl::StrCat("not the end of ", element.tag));
        }
        return element;
      }
      ASSIGN_OR_RETURN(XmlElement child, Element(depth + 1));
      element.text += child.text;
      element.children.push_back(std::move(child));
    }
  }

  const absl::string_view text_;
  size_t at_ = 0;
};

void Collect(const XmlElement& element, const std::string& tag, const std::string& style_class,
             std::vector<XmlElement>* found) {
  const auto it = element.attributes.find("class");
  const std::string own = it == element.attributes.end() ? "" : it->second;
  if (element.tag == tag && (style_class.empty() || own == style_class)) found->push_back(element);
  for (const XmlElement& child : element.children) Collect(child, tag, style_class, found);
}

}  // namespace

double XmlElement::number(const std::string& attribute) const {
  const auto it = attributes.find(attribute);
  double value = 0;
  if (it == attributes.end() || !absl::SimpleAtod(it->second, &value)) return std::nan("");
  return value;
}

absl::StatusOr<XmlElement> ParseXml(absl::string_view text) { return Parser(text).Document(); }

std::vector<XmlElement> FindAll(const XmlElement& root, const std::string& tag,
                                const std::string& style_class) {
  std::vector<XmlElement> found;
  Collect(root, tag, style_class, &found);
  return found;
}

double LeastWidth(const XmlElement& table) {
  constexpr double kCharacter = 10, kLong = 112, kLongHeading = 80, kPadding = 16;
  std::vector<double> columns;
  for (const XmlElement& row : FindAll(table, "tr")) {
    columns.resize(std::max(columns.size(), row.children.size()));
    for (size_t i = 0; i < row.children.size(); ++i) {
      const XmlElement& cell = row.children[i];
      double width = 0;
      for (const absl::string_view word : absl::StrSplit(cell.text, ' ')) {
        width = std::max(width, kCharacter * static_cast<double>(word.size()));
      }
      const auto scope = cell.attributes.find("scope");
      const bool heading = scope != cell.attributes.end() && scope->second == "col";
      const auto styles = cell.attributes.find("class");
      const bool is_long =
          styles != cell.attributes.end() && absl::StartsWith(styles->second, "long");
      if (is_long) width = heading ? kLongHeading : kLong;
      columns[i] = std::max(columns[i], width);
    }
  }
  double sum = 0;
  for (const double column : columns) sum += column + kPadding;
  return sum;
}

}  // namespace cmerc
