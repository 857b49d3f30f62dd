#include "config/catalogue.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_split.h"
#include "config/loader.h"
#include "tests/config/toy_net.pb.h"

namespace cmerc {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string Find(const std::string& name) {
  const absl::StatusOr<std::string> text = Catalogue(name);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

constexpr char kToyNet[] = R"(backbone ToyNet  (tests/config/toy_net.proto)
  A backbone that is there to be configured. Its purpose takes more than one line of ninety-six
  columns, so that it must be wrapped.

  The formula stays as it is:
      y = W x + b

  [type.googleapis.com/cmerc_test.ToyNetOptions] {
    # Width of every hidden layer.
    hidden_width: 512                       # int32, >= 1

    # Share of units that are dropped.
    dropout: 0.5                            # double, in [0, 1)

    slope: 0.01                             # float, in (0, 1]

    # Which normalization.
    #   NONE: No normalization.
    #   BATCH: Over the batch { of any size }.
    #   LAYER
    norm: BATCH                             # one of the above

    mode: EXACT                             # one of FAST, EXACT
    residual: true                          # bool
    seed: 18446744073709551615              # uint64
    gains: []                               # repeated double, >= -1

    # One for each modality.
    encoders {  # repeated
      # Layers of one encoder.
      layers: 2                             # int32, >= 1

      # inner { ... }  # another cmerc_test.ToyNetOptions.Encoder
    }

    head {
      # Layers of one encoder.
      layers: 2                             # int32, >= 1

      # inner { ... }  # another cmerc_test.ToyNetOptions.Encoder
    }

    # file:                                 # string, unset; at most one of file, table
    # table: 7                              # int64; at most one of file, table

    # Options of another backbone.
    # teacher { [type.googleapis.com/TYPE] { ... } }

    name: "it\'s \"toy\""                   # string
    # offset:                               # int32, <= 3, unset
    bits: 8                                 # uint32, < 33
  }
)";

TEST(CatalogueTest, ShowsEverythingOfAPlugin) { EXPECT_EQ(Find("ToyNet"), kToyNet); }

TEST(CatalogueTest, FindsAPluginByAnyOfItsNames) {
  for (const char* name : {"cmerc_test.ToyNetOptions", "CMERC_TEST.toynetoptions", "ToyNetOptions",
                           "toynet", "toy_net", "TOY-NET"}) {
    EXPECT_EQ(Find(name), kToyNet) << name;
  }
  EXPECT_FALSE(Catalogue("cmerc.ToyNetOptions").ok());
}

TEST(CatalogueTest, UnknownNameIsAnsweredWithTheNearest) {
  const absl::Status status = Catalogue("rank_los").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(),
            "no plugin rank_los is linked into this program; did you mean "
            "cmerc_test.RankLossOptions?\n"
            "  linked backbones: cmerc_test.ToyNetOptions\n"
            "  linked datasets: cmerc_test.ToyDataOptions\n"
            "  linked losses: cmerc_test.RankLossOptions, cmerc_test.ToyLossOptions\n"
            "  linked schedulers: cmerc_test.ToyScheduleOptions\n"
            "  a plugin is linked in by its entry in the cmerc_plugins() list of a BUILD file");
  EXPECT_FALSE(Catalogue("").ok());
}

TEST(CatalogueTest, ListsEveryKind) {
  const std::string all = Catalogue();
  EXPECT_THAT(all, StartsWith("BACKBONES (1)\n\nbackbone ToyNet  ("));
  EXPECT_THAT(all, HasSubstr("\n  }\n\nDATASETS (1)\n\ndataset ToyData  ("));
  EXPECT_THAT(all, HasSubstr("\n\nLOSSES (2)\n\nloss RankLoss  ("));
  EXPECT_THAT(all, HasSubstr("\n  }\n\nloss ToyLoss  ("));
  EXPECT_THAT(all, EndsWith(R"(

SCHEDULERS (1)

scheduler ToySchedule  (tests/config/toy_schedule.proto)
  Everything, always.

  [type.googleapis.com/cmerc_test.ToyScheduleOptions] { }
)"));
  EXPECT_THAT(all, HasSubstr(kToyNet));
}

TEST(CatalogueTest, FileCommentStandsInForTheMessages) {
  EXPECT_EQ(Find("toy_data"), R"(dataset ToyData  (tests/config/toy_data.proto)
  Nothing but a folder: this comment stands in for the message's own.

  [type.googleapis.com/cmerc_test.ToyDataOptions] {
    # Where the files are.
    # directory:                            # string, unset
  }
)");
}

TEST(CatalogueTest, RequiredFieldsAreMarked) {
  EXPECT_THAT(Find("rank_loss"), HasSubstr("    # margin:                               # double, "
                                           "required\n"));
}

TEST(CatalogueTest, FitsATerminal) {
  for (const std::string& text : {Catalogue(), ConfigReference()}) {
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      EXPECT_LE(line.size(), 100u) << line;
      EXPECT_THAT(std::string(line), Not(EndsWith(" ")));
    }
  }
}

TEST(CatalogueTest, APluginsEntryParsesToItsDefaults) {
  const std::string text = Find("toy_net");
  const size_t open = text.find('{', text.find("[type.googleapis.com/"));
  cmerc_test::ToyNetOptions options;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      text.substr(open + 1, text.rfind('}') - open - 1), &options));
  EXPECT_TRUE(options.has_seed());
  EXPECT_EQ(options.seed(), cmerc_test::ToyNetOptions().seed());
  EXPECT_EQ(options.name(), "it's \"toy\"");
  EXPECT_EQ(options.norm(), cmerc_test::ToyNetOptions::BATCH);
  EXPECT_EQ(options.source_case(), cmerc_test::ToyNetOptions::SOURCE_NOT_SET);
}

TEST(ConfigReferenceTest, CommentsComeFromTheSchema) {
  const std::string text = ConfigReference();
  EXPECT_THAT(text, StartsWith("data {\n  # Options of a dataset plugin.\n"));
  EXPECT_THAT(text, HasSubstr("  # Conversations per step.\n"
                              "  batch_size: 16                            # int32, >= 1\n"));
  EXPECT_THAT(text,
              HasSubstr("  #   LIVE: Today's weights, in evaluation mode, without gradient.\n"));
  EXPECT_THAT(text, HasSubstr("losses {  # repeated\n"));
}

TEST(ConfigReferenceTest, ParsesToTheDefaults) {
  RunConfig reference;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(ConfigReference(), &reference));
  EXPECT_TRUE(reference.losses(0).has_weight());
  EXPECT_FALSE(reference.losses(0).has_loss());
  // What the loader writes for a config that sets nothing.
  reference.clear_losses();
  reference.clear_curriculum();
  EXPECT_EQ(ResolvedConfig(reference), ResolvedConfig(RunConfig()));
  RunConfig resolved;
  ASSERT_TRUE(
      google::protobuf::TextFormat::ParseFromString(ResolvedConfig(RunConfig()), &resolved));
  EXPECT_EQ(reference.DebugString(), resolved.DebugString());
}

}  // namespace
}  // namespace cmerc
