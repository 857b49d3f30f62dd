#include "tests/end_to_end/predicting.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "config/run.pb.h"
#include "datasets/export.h"
#include "datasets/formats/json_lines.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

constexpr char kNineToTest[] =
    "data { dataset { [type.googleapis.com/cmerc.SyntheticOptions] { test_conversations: 9 } } }";

// With as much to learn from and to validate on as it takes to tell a temperature.
std::string LearnableConfig() {
  return absl::StrReplaceAll(TinyConfig(), {{"train_conversations: 4", "train_conversations: 20"},
                                            {"valid_conversations: 1", "valid_conversations: 12"}});
}

}  // namespace

std::string* PredictFixture::folder_ = nullptr;
DatasetInfo* PredictFixture::info_ = nullptr;
std::vector<Conversation>* PredictFixture::conversations_ = nullptr;
std::vector<std::string>* PredictFixture::lines_ = nullptr;

std::vector<std::string> Lines(const std::string& text) {
  EXPECT_TRUE(text.empty() || text.back() == '\n');
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

std::vector<PredictedConversation> Parse(const std::string& text) {
  std::vector<PredictedConversation> predictions;
  for (const std::string& line : Lines(text)) {
    PredictedConversation& prediction = predictions.emplace_back();
    const auto status = google::protobuf::util::JsonStringToMessage(line, &prediction);
    EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << line;
  }
  return predictions;
}

void PredictFixture::SetUpTestSuite() {
  folder_ = new std::string(NewFolder());
  const std::string config_text = LearnableConfig();
  WriteFile(*folder_ + "/tiny.textproto", config_text);
  const Outcome trained = RunCmerc(
      {"train", "--config=tiny.textproto", "--output=run", std::string("--set=") + kNineToTest,
       "--set=training { epochs: 3 learning_rate: 0.01 }"},
      *folder_);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;

  RunConfig config;
  const std::string text =
      absl::StrReplaceAll(config_text, {{"test_conversations: 2", "test_conversations: 9"}});
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config));
  const auto dataset = Datasets().Create(config.data().dataset());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  info_ = new DatasetInfo((*dataset)->info());
  conversations_ = new std::vector<Conversation>;
  lines_ = new std::vector<std::string>;
  std::vector<std::string> labelled;
  for (const int64_t index : (*dataset)->split(Split::kTest)) {
    conversations_->push_back((*dataset)->Get(index).value());
    ConversationRecord record = RecordOf(conversations_->back(), *info_);
    labelled.push_back(ConversationToJson(record));
    for (auto& utterance : *record.mutable_utterances()) utterance.clear_label();
    lines_->push_back(ConversationToJson(record));
  }
  Write("test.jsonl", *lines_);
  Write("labelled.jsonl", labelled);
}

void PredictFixture::Write(const std::string& file, const std::vector<std::string>& lines) {
  WriteFile(absl::StrCat(*folder_, "/", file), absl::StrJoin(lines, "\n") + "\n");
}

Outcome PredictFixture::Predict(const std::vector<std::string>& more,
                                const std::string& standard_input) {
  std::vector<std::string> args = {"predict", "--checkpoint=run/selected.pth"};
  args.insert(args.end(), more.begin(), more.end());
  Surroundings surroundings;
  surroundings.standard_input = standard_input;
  return RunCmerc(args, *folder_, surroundings);
}

std::string PredictFixture::MustPredict(const std::vector<std::string>& more) {
  const Outcome outcome = Predict(more);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return outcome.out;
}

Conversing::Conversing(const std::string& folder, const std::vector<std::string>& more,
                       const std::string& checkpoint) {
  std::array<int, 2> in, out, err;
  EXPECT_EQ(pipe(in.data()) + pipe(out.data()) + pipe(err.data()), 0);
  const std::string binary = std::filesystem::absolute("bin/cmerc");
  child_ = fork();
  if (child_ == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    for (const int end : {in[0], in[1], out[0], out[1], err[0], err[1]}) close(end);
    setenv("BUILD_WORKING_DIRECTORY", folder.c_str(), 1);
    std::vector<std::string> args = {"cmerc", "predict", "--checkpoint=" + checkpoint, "--input=-"};
    args.insert(args.end(), more.begin(), more.end());
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(&arg[0]);
    argv.push_back(nullptr);
    execv(binary.c_str(), argv.data());
    _exit(127);
  }
  for (const int end : {in[0], out[1], err[1]}) close(end);
  in_ = in[1];
  out_ = out[0];
  err_ = err[0];
}

void Conversing::Say(const std::string& text) const {
  EXPECT_EQ(write(in_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

void Conversing::CloseInput() const { close(in_); }

void Conversing::CloseOutput() const { close(out_); }

std::string Conversing::HearLine() const {
  std::string line;
  char c = 0;
  while (read(out_, &c, 1) == 1 && c != '\n') line.push_back(c);
  return line;
}

void Conversing::Signal(int signal) const { EXPECT_EQ(kill(child_, signal), 0); }

int Conversing::End(std::string* errors) const {
  char c = 0;
  while (read(err_, &c, 1) == 1) errors->push_back(c);
  int status = 0;
  EXPECT_EQ(waitpid(child_, &status, 0), child_);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace cmerc
