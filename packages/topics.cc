#include "packages/topics.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>

#include "config/run.pb.h"
#include "registry/registry.h"

namespace cmerc {

Topics LinkedTopics() {
  Topics topics;
  for (const RegistryBase* registry : AllRegistries()) {
    topics.plugins.push_back(PluralKind(registry->kind()));
    for (const auto& [type, plugin] : registry->plugins()) {
      topics.plugins.push_back(ShortPluginName(type));
    }
  }
  topics.config.push_back("config");
  const google::protobuf::Descriptor& config = *RunConfig::descriptor();
  for (int i = 0; i < config.field_count(); ++i) {
    const google::protobuf::Descriptor* const type = config.field(i)->message_type();
    if (type == nullptr || type == google::protobuf::Any::descriptor()) continue;
    // Where a field is called like a kind of plugins, as "losses", the plugins are explained.
    const std::string& name = config.field(i)->name();
    const auto& plugins = topics.plugins;
    if (std::find(plugins.begin(), plugins.end(), name) != plugins.end()) continue;
    topics.config.push_back(name);
  }
  return topics;
}

}  // namespace cmerc
