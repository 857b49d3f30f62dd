// The text of a plugin's .proto file, kept for its comments: `cmerc plugins` prints them.
#ifndef CMERC_REGISTRY_PROTO_SOURCE_H_
#define CMERC_REGISTRY_PROTO_SOURCE_H_

#include <map>
#include <string>

namespace cmerc {

// Its construction files `text` under `path` (as protoc knows it, "losses/nll.proto"). Written by
// the cmerc_plugin() macro; `text` must live as long as the program.
class ProtoSource {
 public:
  ProtoSource(const char* path, const char* text);
};

// Path -> text of every linked plugin's .proto file.
const std::map<std::string, const char*>& ProtoSources();

}  // namespace cmerc

#endif  // CMERC_REGISTRY_PROTO_SOURCE_H_
