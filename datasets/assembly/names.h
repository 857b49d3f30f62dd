// Names of classes, speakers and data sets.
#ifndef CMERC_DATASETS_ASSEMBLY_NAMES_H_
#define CMERC_DATASETS_ASSEMBLY_NAMES_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace cmerc {

// Returns names in ascending order: as numbers where all of them are numbers, else as bytes.
std::vector<std::string> SortedNames(const std::set<std::string>& names);

// Returns the name of a file without its folder and its ending: "corpus" for "data/corpus.jsonl".
std::string BaseName(const std::string& path);

// Returns a sentence for each thing that is odd about the names of classes, of which there are
// counts[c] utterances: names that differ in case or blanks alone, numbers among names, names that
// mark utterances without a label, such as -1 and xxx. Numbers among numbers are not odd.
std::vector<std::string> ClassNameWarnings(const std::vector<std::string>& names,
                                           const std::vector<int64_t>& counts);

}  // namespace cmerc

#endif  // CMERC_DATASETS_ASSEMBLY_NAMES_H_
