// The example of calibration as a library runs, learns, and is what docs/embed.md shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

std::string Read(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string WithoutEmptyLines(const std::string& text) {
  std::string kept;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    kept.append(line.data(), line.size()).append("\n");
  }
  return kept;
}

// The code blocks of the guide that begin with ```KIND FILE, one after the other.
std::string ShownOf(const std::string& file) {
  std::string shown;
  bool inside = false;
  for (const absl::string_view line : absl::StrSplit(Read("docs/embed.md"), '\n')) {
    if (absl::StartsWith(line, "```")) {
      inside = !inside && absl::EndsWith(line, " " + file);
    } else if (inside) {
      shown.append(line.data(), line.size()).append("\n");
    }
  }
  return WithoutEmptyLines(shown);
}

TEST(EmbedTest, TheGuideShowsTheProgram) {
  const std::string program = Read("examples/embed/embed.cc");
  EXPECT_EQ(ShownOf("embed.cc"), WithoutEmptyLines(program));
  EXPECT_LT(std::count(program.begin(), program.end(), '\n'), 60);
  EXPECT_THAT(WithoutEmptyLines(Read("examples/embed/BUILD")), HasSubstr(ShownOf("BUILD")));
}

TEST(EmbedTest, LearnsAndReportsViews) {
  std::FILE* pipe = popen("examples/embed/embed", "r");
  ASSERT_NE(pipe, nullptr);
  std::string out;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe))
    out.push_back(static_cast<char>(c));
  EXPECT_EQ(pclose(pipe), 0);

  double weighted_f1 = 0;
  std::vector<std::string> views;
  for (const absl::string_view line : absl::StrSplit(out, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    // "weighted avg  precision  recall  F1  support", "without text -0.5".
    if (words[0] == "weighted") {
      ASSERT_TRUE(absl::SimpleAtod(words.at(4), &weighted_f1));
    }
    if (words[0] != "without") continue;
    views.push_back(words.at(1));
    double rise = 0;
    ASSERT_TRUE(absl::SimpleAtod(words.at(2), &rise));
    // Each modality shows half of what there is to see.
    if (views.size() <= 2) {
      EXPECT_LT(rise, 0) << line;
    }
  }
  // Two moods are 2 apart in unit noise: an utterance is mistaken for one of the other mood in 16 %
  // of cases at best, and a guess is right in 33 %.
  EXPECT_GT(weighted_f1, 0.7);
  EXPECT_THAT(views, testing::ElementsAre("text", "audio", "same_speaker", "other_speakers"));
}

}  // namespace
}  // namespace cmerc
