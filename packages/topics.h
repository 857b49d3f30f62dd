// What `cmerc plugins` and `cmerc help` can be asked about.
#ifndef CMERC_PACKAGES_TOPICS_H_
#define CMERC_PACKAGES_TOPICS_H_

#include <string>
#include <vector>

namespace cmerc {

struct Topics {
  std::vector<std::string> plugins;  // kinds ("losses") and plugins ("Focal")
  std::vector<std::string> config;   // "config", and what it is made of ("training")
};

// Those of the plugins that are linked into this program.
Topics LinkedTopics();

}  // namespace cmerc

#endif  // CMERC_PACKAGES_TOPICS_H_
