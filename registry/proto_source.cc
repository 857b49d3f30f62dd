#include "registry/proto_source.h"

namespace cmerc {
namespace {

std::map<std::string, const char*>& MutableProtoSources() {
  // A function-local static: safe whatever the order of static initializers.
  static auto* sources = new std::map<std::string, const char*>;
  return *sources;
}

}  // namespace

ProtoSource::ProtoSource(const char* path, const char* text) { MutableProtoSources()[path] = text; }

const std::map<std::string, const char*>& ProtoSources() { return MutableProtoSources(); }

}  // namespace cmerc
