#include "calibration/extractors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cmerc {
namespace {

using testing::HasSubstr;

TEST(ExtractorsTest, GoIntoACheckpointAndBack) {
  DatasetDescription description;
  description.add_modalities()->set_name("text");
  description.add_modalities()->set_name("audio");
  SetExtractors({{"audio", "smile 2"}, {"gaze", "of a modality that the model does not use"}},
                &description);
  EXPECT_EQ(ExtractorsOf(description), (Extractors{{"audio", "smile 2"}}));
}

TEST(ExtractorsTest, OthersThanThoseOfTrainingAreRefused) {
  const Extractors trained = {{"text", "bert 1"}, {"audio", "smile 2"}};
  EXPECT_TRUE(CheckExtractors(trained, trained).ok());
  EXPECT_TRUE(CheckExtractors(trained, {{"audio", "smile 2"}, {"gaze", "own 1"}}).ok());
  EXPECT_TRUE(CheckExtractors({}, trained).ok());
  EXPECT_TRUE(CheckExtractors(trained, {}).ok());
  const absl::Status status = CheckExtractors(trained, {{"audio", "smile 2"}, {"text", "bert 2"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(),
              HasSubstr("extractors.text is \"bert 2\", want \"bert 1\", with whose features this "
                        "model was trained"));
}

}  // namespace
}  // namespace cmerc
