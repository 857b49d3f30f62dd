// Names of classes and speakers in an order that does not depend on the order of the data.
#ifndef CMERC_DATASETS_ASSEMBLY_NAMES_H_
#define CMERC_DATASETS_ASSEMBLY_NAMES_H_

#include <set>
#include <string>
#include <vector>

namespace cmerc {

// Returns names in ascending order: as numbers where all of them are numbers, else as bytes.
std::vector<std::string> SortedNames(const std::set<std::string>& names);

}  // namespace cmerc

#endif  // CMERC_DATASETS_ASSEMBLY_NAMES_H_
