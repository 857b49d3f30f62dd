// The page at the server's `/`: serving/page.html, as it is.
#ifndef CMERC_SERVING_PAGE_H_
#define CMERC_SERVING_PAGE_H_

namespace cmerc::serving {

extern const char kPage[];

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_PAGE_H_
