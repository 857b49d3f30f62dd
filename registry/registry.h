// Plugins by the type of their options message: the message type is the only identity of a plugin.
//
//   Registry<Loss, const DatasetInfo&>& Losses();                      // one per kind, in core/
//   const Registered<NllOptions> kRegistered(Losses(), Nll::Create);   // one per plugin
//
// where Create is static and takes (const NllOptions&, const DatasetInfo&); it returns an
// absl::StatusOr<std::unique_ptr<Loss>>.
#ifndef CMERC_REGISTRY_REGISTRY_H_
#define CMERC_REGISTRY_REGISTRY_H_

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cmerc {

// What every registry has in common, whatever it makes.
class RegistryBase {
 public:
  struct Plugin {
    const google::protobuf::Descriptor* options;  // its name is the plugin's name
    const char* file;                             // where it was registered
    int line;
  };

  RegistryBase(const RegistryBase&) = delete;
  RegistryBase& operator=(const RegistryBase&) = delete;

  // "backbone", "loss", ...: the kind of plugin, for messages.
  const std::string& kind() const { return kind_; }
  // By full type name ("cmerc.M3NetOptions"), in alphabetical order.
  const std::map<std::string, Plugin>& plugins() const { return plugins_; }

  // The options inside `any`. NotFound: a type that is not linked in (with the nearest name and the
  // list). InvalidArgument: no options given, a plugin of another kind, bytes that do not parse.
  absl::StatusOr<std::unique_ptr<google::protobuf::Message>> Unpack(
      const google::protobuf::Any& any) const;

 protected:
  explicit RegistryBase(std::string kind);
  ~RegistryBase();

  // Unpack() of options whose values the plugin may rely on. InvalidArgument, besides: values
  // outside the ranges in the .proto file, NaN and infinities, required fields that are not set, as
  // CheckRanges() says it (registry/range_check.h).
  absl::StatusOr<std::unique_ptr<google::protobuf::Message>> UnpackChecked(
      const google::protobuf::Any& any) const;

  // Two plugins of one type cannot both be meant: prints both places and aborts.
  void AddPlugin(const google::protobuf::Message& prototype, const char* file, int line);

 private:
  const std::string kind_;
  std::map<std::string, Plugin> plugins_;
};

// Every registry of the program, by kind.
const std::vector<const RegistryBase*>& AllRegistries();

// "no plugin cmerc.M3netOptions is linked into this program; did you mean cmerc.M3NetOptions?" and
// then, a line each, what is linked in and how to link more. `type_name` is a full name, without
// "type.googleapis.com/".
std::string UnknownPluginMessage(const std::string& type_name);

// The full type name of the options in `any` ("cmerc.M3NetOptions"), or "" if it holds none.
std::string PluginType(const google::protobuf::Any& any);

// What people call a plugin: "M3Net" for "cmerc.M3NetOptions" (and for a mistyped M3NetOption).
std::string ShortPluginName(const std::string& type_name);

// "backbone" -> "backbones", "loss" -> "losses".
std::string PluralKind(const std::string& kind);

template <typename Product, typename... Args>
class Registry final : public RegistryBase {
 public:
  using Factory = std::function<absl::StatusOr<std::unique_ptr<Product>>(
      const google::protobuf::Message& options, Args... args)>;

  explicit Registry(std::string kind) : RegistryBase(std::move(kind)) {}

  void Add(const google::protobuf::Message& prototype, Factory factory, const char* file,
           int line) {
    AddPlugin(prototype, file, line);
    factories_[prototype.GetDescriptor()->full_name()] = std::move(factory);
  }

  // Makes what `any` asks for, from options whose values are all in range. Errors: those of
  // UnpackChecked() and of the plugin's own factory.
  absl::StatusOr<std::unique_ptr<Product>> Create(const google::protobuf::Any& any,
                                                  Args... args) const {
    absl::StatusOr<std::unique_ptr<google::protobuf::Message>> options = UnpackChecked(any);
    if (!options.ok()) return options.status();
    return factories_.at((*options)->GetDescriptor()->full_name())(**options,
                                                                   std::forward<Args>(args)...);
  }

 private:
  std::map<std::string, Factory> factories_;
};

// Registers a plugin when it is constructed, at namespace scope.
template <typename Options>
class Registered {
 public:
  template <typename Product, typename... Args, typename Create>
  Registered(Registry<Product, Args...>& registry, Create create,
             const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    registry.Add(
        Options::default_instance(),
        [create](const google::protobuf::Message& options,
                 Args... args) -> absl::StatusOr<std::unique_ptr<Product>> {
          return create(static_cast<const Options&>(options), std::forward<Args>(args)...);
        },
        file, line);
  }
};

}  // namespace cmerc

#endif  // CMERC_REGISTRY_REGISTRY_H_
