#include "registry/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tests/registry/registry_test.pb.h"

namespace cmerc {
namespace {

using cmerc_test::AlphaOptions;
using cmerc_test::BetaOptions;
using cmerc_test::GammaOptions;
using cmerc_test::UnregisteredOptions;
using google::protobuf::Any;
using testing::ElementsAre;

using ShapeRegistry = Registry<std::string, int>;

ShapeRegistry& Shapes() {
  static auto* registry = new ShapeRegistry("shape");
  return *registry;
}

// The kind comes before "shape", though it is registered later.
Registry<int>& Lenses() {
  static auto* registry = new Registry<int>("lens");
  return *registry;
}

absl::StatusOr<std::unique_ptr<std::string>> CreateAlpha(const AlphaOptions& options, int count) {
  if (count < 0) return absl::OutOfRangeError("count");
  return std::make_unique<std::string>(absl::StrCat(options.size(), "x", count));
}

absl::StatusOr<std::unique_ptr<std::string>> CreateBeta(const BetaOptions&, int) {
  return std::make_unique<std::string>("beta");
}

absl::StatusOr<std::unique_ptr<int>> CreateGamma(const GammaOptions&) {
  return std::make_unique<int>(3);
}

constexpr int kAlphaLine = __LINE__ + 1;
const Registered<AlphaOptions> kAlpha(Shapes(), CreateAlpha);
const Registered<BetaOptions> kBeta(Shapes(), CreateBeta);
const Registered<GammaOptions> kGamma(Lenses(), CreateGamma);

template <typename Options>
Any Pack(const Options& options) {
  Any any;
  any.PackFrom(options);
  return any;
}

TEST(RegistryTest, CreatesFromOptionsAndArguments) {
  AlphaOptions options;
  EXPECT_EQ(**Shapes().Create(Pack(options), 2), "7x2");
  options.set_size(5);
  EXPECT_EQ(**Shapes().Create(Pack(options), 2), "5x2");
  EXPECT_EQ(**Lenses().Create(Pack(GammaOptions())), 3);
}

TEST(RegistryTest, PassesOnTheFactorysError) {
  EXPECT_EQ(Shapes().Create(Pack(AlphaOptions()), -1).status(), absl::OutOfRangeError("count"));
}

TEST(RegistryTest, CreatesNothingFromOptionsOutOfRange) {
  AlphaOptions options;
  options.set_size(100);
  // The factory would fail too, but is not called.
  EXPECT_EQ(Shapes().Create(Pack(options), -1).status(),
            absl::InvalidArgumentError("cmerc_test.AlphaOptions: size = 100, must be <= 99"));
  EXPECT_TRUE(Shapes().Unpack(Pack(options)).ok());
}

TEST(RegistryTest, KnowsWhereAPluginIsRegistered) {
  ASSERT_EQ(Shapes().plugins().size(), 2u);
  const RegistryBase::Plugin& alpha = Shapes().plugins().at("cmerc_test.AlphaOptions");
  EXPECT_EQ(alpha.options, AlphaOptions::descriptor());
  EXPECT_STREQ(alpha.file, __FILE__);
  EXPECT_EQ(alpha.line, kAlphaLine);
}

TEST(RegistryTest, AllRegistriesAreSortedByKind) {
  EXPECT_THAT(AllRegistries(), ElementsAre(&Lenses(), &Shapes()));
}

TEST(RegistryTest, ADestroyedRegistryIsNotListed) {
  {
    const Registry<int> temporary("kind");
    EXPECT_THAT(AllRegistries(), ElementsAre(&temporary, &Lenses(), &Shapes()));
  }
  EXPECT_THAT(AllRegistries(), ElementsAre(&Lenses(), &Shapes()));
}

TEST(UnpackTest, NoOptions) {
  EXPECT_EQ(Shapes().Unpack(Any()).status(),
            absl::InvalidArgumentError(
                "no shape is given; write [type.googleapis.com/TYPE] { } with a TYPE of the linked "
                "shapes: cmerc_test.AlphaOptions, cmerc_test.BetaOptions"));
}

TEST(UnpackTest, AnotherKind) {
  EXPECT_EQ(
      Shapes().Create(Pack(GammaOptions()), 1).status(),
      absl::InvalidArgumentError("cmerc_test.GammaOptions is a lens, not a shape; linked shapes: "
                                 "cmerc_test.AlphaOptions, cmerc_test.BetaOptions"));
}

TEST(UnpackTest, UnknownType) {
  // The message exists in the program, but no plugin is registered with it.
  EXPECT_EQ(Shapes().Create(Pack(UnregisteredOptions()), 1).status(),
            absl::NotFoundError(UnknownPluginMessage("cmerc_test.UnregisteredOptions")));
}

TEST(UnpackTest, BytesThatDoNotParse) {
  Any any = Pack(AlphaOptions());
  any.set_value("\x08");
  EXPECT_EQ(Shapes().Unpack(any).status(),
            absl::InvalidArgumentError("the bytes of a cmerc_test.AlphaOptions do not parse"));
}

TEST(UnpackTest, EmptyRegistry) {
  const Registry<int> empty("glass");
  EXPECT_EQ(empty.Unpack(Any()).status().message(),
            "no glass is given; write [type.googleapis.com/TYPE] { } with a TYPE of the linked "
            "glasses: none");
}

TEST(UnknownPluginMessageTest, ListsWhatIsLinkedAndTheNearest) {
  const std::string linked =
      "\n  linked lenses: cmerc_test.GammaOptions"
      "\n  linked shapes: cmerc_test.AlphaOptions, cmerc_test.BetaOptions"
      "\n  a plugin is linked in by its entry in the cmerc_plugins() list of a BUILD file";
  EXPECT_EQ(UnknownPluginMessage("cmerc_test.AlpahOptions"),
            "no plugin cmerc_test.AlpahOptions is linked into this program; did you mean "
            "cmerc_test.AlphaOptions?" +
                linked);
  EXPECT_EQ(UnknownPluginMessage("cmerc_test.TransformerOptions"),
            "no plugin cmerc_test.TransformerOptions is linked into this program" + linked);
}

TEST(UnknownPluginMessageTest, ComparesShortNames) {
  for (const char* name : {"AlphaOptions", "cmerc.Alpha", "alpha", "other.package.AlphaOption"}) {
    EXPECT_THAT(UnknownPluginMessage(name),
                testing::HasSubstr("did you mean cmerc_test.AlphaOptions?"))
        << name;
  }
  // A shared package and suffix do not make names alike.
  EXPECT_THAT(UnknownPluginMessage("cmerc_test.NllOptions"),
              testing::Not(testing::HasSubstr("did you mean")));
}

TEST(PluginNameTest, Forms) {
  EXPECT_EQ(PluginType(Pack(AlphaOptions())), "cmerc_test.AlphaOptions");
  EXPECT_EQ(PluginType(Any()), "");
  EXPECT_EQ(ShortPluginName("cmerc.M3NetOptions"), "M3Net");
  EXPECT_EQ(ShortPluginName("M3Net"), "M3Net");
  EXPECT_EQ(PluralKind("backbone"), "backbones");
  EXPECT_EQ(PluralKind("loss"), "losses");
}

TEST(RegistryDeathTest, DuplicateNamesBothPlaces) {
  EXPECT_DEATH(
      {
        const Registered<AlphaOptions> again(Shapes(), CreateAlpha, "losses/again.cc", 42);
        (void)again;
      },
      absl::StrCat("two plugins are registered as shape cmerc_test.AlphaOptions: ", __FILE__, ":",
                   kAlphaLine, " and losses/again.cc:42; remove one from the build"));
}

}  // namespace
}  // namespace cmerc
