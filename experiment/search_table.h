// What a search found, to read.
#ifndef CMERC_EXPERIMENT_SEARCH_TABLE_H_
#define CMERC_EXPERIMENT_SEARCH_TABLE_H_

#include <string>

#include "experiment/results.pb.h"

namespace cmerc {

// A line for each dataset and variant: the trial that was chosen and its options. Markdown.
std::string FormatChosen(const SearchResults& results);

// search.md: FormatChosen(), and for each dataset and variant a table of its trials, best first.
std::string FormatSearch(const SearchResults& results);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_SEARCH_TABLE_H_
