#include "metrics/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include "metrics/report.pb.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ToJsonTest, OneLine) {
  EpochReport report;
  report.set_epoch(3);
  report.set_total_loss(0.1);
  report.set_train_accuracy(2.0 / 3.0);
  report.add_losses()->set_loss("cmerc.NllOptions");
  report.mutable_test()->add_confusion()->add_predicted(7);
  // Doubles have as many digits as reading them back exactly takes.
  EXPECT_EQ(ToJson(report, false),
            R"({"epoch":3,"conversations":0,"steps":0,"total_loss":0.1,)"
            R"("losses":[{"loss":"cmerc.NllOptions","value":0}],)"
            R"("train_accuracy":0.66666666666666663,"train_weighted_f1":0,)"
            R"("test":{"conversations":0,"utterances":0,"loss":0,"accuracy":0,"weighted_f1":0,)"
            R"("macro_f1":0,"classes":[],"confusion":[{"predicted":[7]}],"views":[],"micro_f1":0,)"
            R"("post_hoc":[]}})");
}

TEST(ToJsonTest, Pretty) {
  ViewReport view;
  view.set_view("text");
  view.set_share_surer_without(0.25);
  EXPECT_EQ(ToJson(view, true),
            "{\n \"view\": \"text\",\n \"share_surer_without\": 0.25,\n"
            " \"mean_log_prob_rise\": 0,\n \"share_predicted_surer_without\": 0,\n"
            " \"mean_predicted_log_prob_rise\": 0\n}\n");
}

TEST(ToJsonTest, ALineOfPredictionsIsListsOfNumbers) {
  ConversationPredictions line;
  line.set_id("Ses01");
  for (const double p : {0.25, 1.0 / 3}) {
    line.add_labels(1);
    line.add_predicted(0);
    google::protobuf::ListValue* row = line.add_probabilities();
    row->add_values()->set_number_value(1 - p);
    row->add_values()->set_number_value(p);
  }
  EXPECT_EQ(
      ToJson(line, false),
      R"({"id":"Ses01","labels":[1,1],"predicted":[0,0],)"
      R"("probabilities":[[0.75,0.25],[0.66666666666666674,0.33333333333333331]],"utterances":[]})");
}

TEST(ToJsonTest, SummaryWithinSummary) {
  RunSummary summary;
  summary.set_seed(std::numeric_limits<uint64_t>::max());
  summary.mutable_uncalibrated()->set_backbone("cmerc.GruOptions");
  const std::string json = ToJson(summary, false);
  EXPECT_THAT(json, HasSubstr(R"("seed":"18446744073709551615")"));
  EXPECT_THAT(json, HasSubstr(R"("uncalibrated":{)"));
  EXPECT_THAT(json, HasSubstr(R"("backbone":"cmerc.GruOptions")"));
}

TEST(ToJsonTest, MapsAreSorted) {
  RunSummary summary;
  for (char name = 'z'; name >= 'a'; --name) {
    (*summary.mutable_versions())[std::string(1, name)] = "1";
  }
  const std::string json = ToJson(summary, false);
  for (char name = 'a'; name < 'z'; ++name) {
    EXPECT_THAT(json, HasSubstr(std::string("\"") + name + "\":\"1\",\"" +
                                static_cast<char>(name + 1) + "\":\"1\""));
  }
}

// Class names come from the user's files.
TEST(ToJsonTest, QuotesAndInvalidUtf8DoNotBreakIt) {
  ClassReport report;
  report.set_name(
      "a\"\n\xFF"
      "b");
  EXPECT_THAT(ToJson(report, false), StartsWith(R"({"name":"a\"\n)"));
  EXPECT_THAT(ToJson(report, false), HasSubstr("b\",\"precision\":0"));
}

class WriteFileAtomicallyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/write_file_atomically";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
  }

  static std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  int NumFiles() const {
    return static_cast<int>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::string folder_;
};

TEST_F(WriteFileAtomicallyTest, WritesAndReplaces) {
  const std::string path = folder_ + "/summary.json";
  const std::string contents = std::string("one\0two", 7) + std::string(1 << 20, 'x');
  ASSERT_EQ(WriteFileAtomically(path, contents), absl::OkStatus());
  EXPECT_EQ(Read(path), contents);
  ASSERT_EQ(WriteFileAtomically(path, ""), absl::OkStatus());
  EXPECT_EQ(Read(path), "");
  EXPECT_EQ(NumFiles(), 1);  // no temporary file is left
}

TEST_F(WriteFileAtomicallyTest, KeepsPermissions) {
  const std::string path = folder_ + "/private.json";
  ASSERT_EQ(WriteFileAtomically(path, "1"), absl::OkStatus());
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  ASSERT_EQ(WriteFileAtomically(path, "2"), absl::OkStatus());
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_F(WriteFileAtomicallyTest, FollowsSymbolicLinks) {
  ASSERT_EQ(WriteFileAtomically(folder_ + "/file", "1"), absl::OkStatus());
  std::filesystem::create_symlink("file", folder_ + "/link");
  ASSERT_EQ(WriteFileAtomically(folder_ + "/link", "2"), absl::OkStatus());
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ + "/link"));
  EXPECT_EQ(Read(folder_ + "/file"), "2");
}

TEST_F(WriteFileAtomicallyTest, MissingFolder) {
  const std::string path = folder_ + "/absent/summary.json";
  const absl::Status status = WriteFileAtomically(path, "1");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "cannot write " + path +
                                  ": No such file or directory; create the folder " + folder_ +
                                  "/absent or choose another path");
}

TEST_F(WriteFileAtomicallyTest, FolderAndDevice) {
  const absl::Status folder = WriteFileAtomically(folder_, "1");
  EXPECT_EQ(folder.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(folder.message(),
            "cannot write " + folder_ + ": it is a folder; choose the path of a file");
  const absl::Status device = WriteFileAtomically("/dev/null", "1");
  EXPECT_EQ(device.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(device.message()), HasSubstr("not a regular file"));
}

// A full disk, as far as a program sees it.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_limit_);
    const struct rlimit limit = {bytes, old_limit_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_limit_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  void (*old_handler_)(int);
  struct rlimit old_limit_;
};

TEST_F(WriteFileAtomicallyTest, AfterAnErrorTheOldFileIsAsItWas) {
  const std::string path = folder_ + "/summary.json";
  ASSERT_EQ(WriteFileAtomically(path, "old"), absl::OkStatus());
  absl::Status status;
  {
    const FileSizeLimit limit(10);
    status = WriteFileAtomically(path, "longer than 10 bytes");
  }
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.message(),
            "cannot write " + path +
                ": File too large; raise the limit on the size of files (ulimit -f)");
  EXPECT_EQ(Read(path), "old");
  EXPECT_EQ(NumFiles(), 1);
}

}  // namespace
}  // namespace cmerc
