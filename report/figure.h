// A picture with its caption, legend and numbers: what every chart returns.
#ifndef CMERC_REPORT_FIGURE_H_
#define CMERC_REPORT_FIGURE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "report/markup.h"

namespace cmerc::report {

// Pictures are drawn this wide, in units that are pixels on a telephone; the page scales them.
constexpr double kPictureWidth = 360;

// How the i-th series looks: a class of the page's style sheet.
std::string SeriesClass(size_t i);

// Opens <svg> with its <title> and <desc>; nested elements follow.
void OpenPicture(const std::string& title, const std::string& description, double height,
                 Markup* svg);

struct TextPlace {
  double x = 0;
  double y = 0;
  // Where x is in the text: "start", "middle" or "end".
  std::string anchor = "start";
  // An SVG transform.
  std::string transform;
};

// A text in the picture.
void DrawText(const TextPlace& place, const std::string& text, Markup* svg);

// A rectangle with a tooltip, unless that is empty. A negative width or height extends it the other
// way.
struct Box {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
};
void DrawBox(const Box& box, const std::string& style_class, const std::string& tooltip,
             Markup* svg, double opacity = 1);

void DrawLine(double x1, double y1, double x2, double y2, const std::string& style_class,
              Markup* svg);

// `text` in at most `characters` of them, the middle replaced by an ellipsis where it is longer.
std::string Shortened(const std::string& text, size_t characters);
// How many characters this UTF-8 has.
size_t CharacterCount(absl::string_view text);

struct Table {
  std::vector<std::string> header;
  // Each is as long as the header, and its first cell names the row.
  std::vector<std::vector<std::string>> rows;
};

// <table>, in a box of its own that scrolls sideways on a narrow screen.
std::string FormatTable(const Table& table);

struct LegendEntry {
  std::string style_class;
  std::string text;
  // An area rather than a line.
  bool filled = false;
};

// <figure>: caption, picture, legend (not for a single series) and, behind a summary to open, the
// numbers. `svg` is finished.
std::string FormatFigure(const std::string& caption, const std::string& svg,
                         const std::vector<LegendEntry>& legend, const Table& numbers);

}  // namespace cmerc::report

#endif  // CMERC_REPORT_FIGURE_H_
