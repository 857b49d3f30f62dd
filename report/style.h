// The page's style sheet: light and dark, screen and print.
#ifndef CMERC_REPORT_STYLE_H_
#define CMERC_REPORT_STYLE_H_

namespace cmerc::report {

// CSS without any character that markup would escape.
extern const char kStyleSheet[];

}  // namespace cmerc::report

#endif  // CMERC_REPORT_STYLE_H_
