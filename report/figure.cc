#include "report/figure.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "report/axis.h"

namespace cmerc::report {
namespace {

// The style sheet has as many looks; more series begin again.
constexpr size_t kSeriesClasses = 6;

bool ContinuesCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Longer cells wrap, anywhere if need be, shorter ones do not: so the tables of a page fit into its
// width whatever the names are.
constexpr size_t kLongCell = 16;

void AddCell(const std::string& tag, const std::string& scope, const std::string& text,
             bool is_name, Markup* html) {
  Markup::Attributes attributes;
  if (!scope.empty()) attributes.emplace_back("scope", scope);
  std::vector<std::string> classes;
  if (CharacterCount(text) > kLongCell) classes.emplace_back("long");
  if (is_name) classes.emplace_back("name");
  if (!classes.empty()) attributes.emplace_back("class", absl::StrJoin(classes, " "));
  html->Element(tag, attributes, text);
}

// Whether a column, not the first, holds names rather than numbers: every cell that holds anything
// begins with a letter.
bool HoldsNames(const Table& table, size_t column) {
  bool any = false;
  for (const std::vector<std::string>& row : table.rows) {
    const std::string& cell = row[column];
    if (cell.empty() || cell == "-") continue;
    const auto first = static_cast<unsigned char>(cell[0]);
    if (!absl::ascii_isalpha(first) && first < 0x80) return false;
    any = true;
  }
  return any && column > 0;
}

// The byte at which the i-th character begins.
size_t Offset(absl::string_view text, size_t i) {
  size_t offset = 0;
  for (; offset < text.size(); ++offset) {
    if (ContinuesCharacter(text[offset])) continue;
    if (i == 0) break;
    --i;
  }
  return offset;
}

}  // namespace

std::string SeriesClass(size_t i) { return absl::StrCat("s", i % kSeriesClasses); }

void OpenPicture(const std::string& title, const std::string& description, double height,
                 Markup* svg) {
  svg->Open("svg",
            {{"xmlns", "http://www.w3.org/2000/svg"},
             {"viewBox", absl::StrCat("0 0 ", Coordinate(kPictureWidth), " ", Coordinate(height))},
             {"role", "img"}});
  svg->Element("title", title).Element("desc", description);
}

void DrawText(const TextPlace& place, const std::string& text, Markup* svg) {
  Markup::Attributes attributes = {{"x", Coordinate(place.x)}, {"y", Coordinate(place.y)}};
  if (place.anchor != "start") attributes.emplace_back("text-anchor", place.anchor);
  if (!place.transform.empty()) attributes.emplace_back("transform", place.transform);
  svg->Element("text", attributes, text);
}

void DrawBox(const Box& box, const std::string& style_class, const std::string& tooltip,
             Markup* svg, double opacity) {
  Markup::Attributes attributes = {{"x", Coordinate(box.x + std::min(0.0, box.width))},
                                   {"y", Coordinate(box.y + std::min(0.0, box.height))},
                                   {"width", Coordinate(std::abs(box.width))},
                                   {"height", Coordinate(std::abs(box.height))},
                                   {"class", style_class}};
  if (opacity < 1) attributes.emplace_back("fill-opacity", absl::StrFormat("%.2f", opacity));
  if (tooltip.empty()) {
    svg->Empty("rect", attributes);
  } else {
    svg->Open("rect", attributes).Element("title", tooltip).Close();
  }
}

void DrawLine(double x1, double y1, double x2, double y2, const std::string& style_class,
              Markup* svg) {
  svg->Empty("line", {{"x1", Coordinate(x1)},
                      {"y1", Coordinate(y1)},
                      {"x2", Coordinate(x2)},
                      {"y2", Coordinate(y2)},
                      {"class", style_class}});
}

size_t CharacterCount(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return !ContinuesCharacter(c); });
}

std::string Shortened(const std::string& text, size_t characters) {
  const size_t count = CharacterCount(text);
  if (count <= characters) return text;
  const size_t head = characters / 2;
  const size_t tail = characters - 1 - head;
  return absl::StrCat(text.substr(0, Offset(text, head)), "…",
                      text.substr(Offset(text, count - tail)));
}

std::string FormatTable(const Table& table) {
  std::vector<bool> names;
  for (size_t i = 0; i < table.header.size(); ++i) names.push_back(HoldsNames(table, i));
  Markup html;
  html.Open("div", {{"class", "scroll"}}).Open("table").Open("thead").Open("tr");
  for (size_t i = 0; i < names.size(); ++i) {
    AddCell("th", "col", table.header[i], names[i], &html);
  }
  html.Close().Close().Open("tbody");
  for (const std::vector<std::string>& row : table.rows) {
    html.Open("tr");
    for (size_t i = 0; i < row.size(); ++i) {
      AddCell(i == 0 ? "th" : "td", i == 0 ? "row" : "", row[i], names[i], &html);
    }
    html.Close();
  }
  return html.Finish();
}

std::string FormatFigure(const std::string& caption, const std::string& svg,
                         const std::vector<LegendEntry>& legend, const Table& numbers) {
  Markup html;
  html.Open("figure").Element("figcaption", caption).Append(svg);
  if (legend.size() > 1) {
    html.Open("p", {{"class", "legend"}});
    for (const LegendEntry& entry : legend) {
      html.Open("span");
      html.Open("svg", {{"xmlns", "http://www.w3.org/2000/svg"},
                        {"viewBox", "0 0 24 10"},
                        {"class", "swatch"},
                        {"aria-hidden", "true"}});
      if (entry.filled) {
        DrawBox({4, 0, 16, 10}, entry.style_class, "", &html);
      } else {
        DrawLine(1, 5, 23, 5, absl::StrCat("line ", entry.style_class), &html);
      }
      html.Close().Text(entry.text).Close();
    }
    html.Close();
  }
  if (!numbers.rows.empty()) {
    html.Open("details").Element("summary", "Numbers").Append(FormatTable(numbers)).Close();
  }
  return html.Finish();
}

}  // namespace cmerc::report
