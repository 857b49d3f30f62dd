// `cmerc serve` with a trained model: its answers are those of `cmerc predict`, models are swapped
// and the server is stopped without losing a request, and clients of others understand it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/files.h"
#include "tests/end_to_end/predicting.h"
#include "tests/end_to_end/running_server.h"
#include "tests/serving/raw_client.h"

namespace cmerc {
namespace {

using serving::Ask;
using serving::HttpAnswer;
using testing::ElementsAreArray;
using testing::HasSubstr;

class ServeTest : public PredictFixture {
 protected:
  // Runs a Python, which wants to be called by its own name, in the fixture's folder.
  static Outcome Python(const std::vector<std::string>& args) {
    return Shell(*folder_, "exec \"$0\" \"$@\"", args);
  }

  // What a conversation has of a modality, as JSON.
  static std::string DataOf(const Conversation& conversation, size_t m) {
    const torch::Tensor flat = conversation.features[m][0].contiguous().flatten();
    std::vector<std::string> numbers;
    for (int64_t i = 0; i < flat.numel(); ++i) {
      numbers.push_back(absl::StrFormat("%.9g", flat.data_ptr<float>()[i]));
    }
    return absl::StrCat("[", absl::StrJoin(numbers, ","), "]");
  }

  // An inference request for a conversation whose speakers are the names that a file has.
  static std::string InferRequest(const Conversation& conversation, const std::string& outputs) {
    const int64_t n = conversation.speakers.size(0);
    std::vector<std::string> inputs, speakers;
    for (size_t m = 0; m < info_->modalities.size(); ++m) {
      const ModalityInfo& modality = info_->modalities[m];
      inputs.push_back(absl::StrCat("{\"name\":\"", modality.name,
                                    "\",\"datatype\":\"FP32\",\"shape\":[", n, ",", modality.width,
                                    "],\"data\":", DataOf(conversation, m), "}"));
    }
    for (int64_t i = 0; i < n; ++i) {
      speakers.push_back(
          absl::StrCat("\"", info_->speaker_names[conversation.speakers[i].item<int64_t>()], "\""));
    }
    inputs.push_back(absl::StrCat("{\"name\":\"speakers\",\"datatype\":\"BYTES\",\"shape\":[", n,
                                  "],\"data\":[", absl::StrJoin(speakers, ","), "]}"));
    return absl::StrCat("{\"inputs\":[", absl::StrJoin(inputs, ","), "],\"outputs\":[", outputs,
                        "]}");
  }
};

TEST_F(ServeTest, AnswersAreThoseOfPredictBitForBit) {
  const std::vector<std::string> alone = {"--set=training { batch_size: 1 }", "--input=test.jsonl",
                                          "--sets=0.9", "--abstain_below=0.5"};
  std::vector<std::string> explained = alone;
  explained.emplace_back("--explain");
  const std::string plain = MustPredict(alone), with_views = MustPredict(explained);
  Server server(*folder_, {"--sets=0.9", "--abstain_below=0.5", "--workers=2"});
  const std::string all = absl::StrJoin(*lines_, "\n") + "\n";
  EXPECT_EQ(server.Predict(all).body, plain);
  EXPECT_EQ(server.Predict(all, "?explain=true").body, with_views);
  // At the same time, and one by one: not a bit depends on what else there is to do.
  const std::vector<std::string> wanted = Lines(with_views);
  std::vector<std::string> got(lines_->size());
  std::vector<std::thread> clients;
  for (size_t i = 0; i < lines_->size(); ++i) {
    clients.emplace_back(
        [&, i] { got[i] = server.Predict(lines_->at(i) + "\n", "?explain=true").body; });
  }
  for (std::thread& client : clients) client.join();
  for (std::string& one : got) one = std::string(absl::StripSuffix(one, "\n"));
  EXPECT_THAT(got, ElementsAreArray(wanted));
  const Outcome stopped = server.Stop();
  EXPECT_EQ(stopped.exit_code, 0) << stopped.err;
}

TEST_F(ServeTest, InferHasTheNumbersOfPredict) {
  Server server(*folder_, {});
  const Conversation& conversation = conversations_->at(0);
  const HttpAnswer answer = Ask(
      server.http(), "POST", "/v2/models/tiny/infer",
      InferRequest(conversation, R"({"name":"label"},{"name":"probabilities"},)"
                                 R"({"name":"without_log_prob_change"},{"name":"prediction"})"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  const std::vector<PredictedConversation> predicted =
      Parse(MustPredict({"--set=training { batch_size: 1 }", "--input=test.jsonl", "--explain"}));
  std::vector<std::string> labels, probabilities, changes;
  for (const PredictedUtterance& utterance : predicted[0].utterances()) {
    labels.push_back(absl::StrCat("\"", utterance.label(), "\""));
    for (const std::string& name : info_->class_names) {
      probabilities.push_back(absl::StrFormat("%.17g", utterance.probabilities().at(name)));
    }
    for (const ViewChange& change : utterance.without()) {
      changes.push_back(absl::StrFormat("%.17g", change.log_prob_change()));
    }
  }
  EXPECT_THAT(answer.body, HasSubstr(absl::StrCat("\"data\":[", absl::StrJoin(labels, ","), "]")));
  // Both have as many digits as give back the bits.
  const auto data_of = [&](const std::string& output) {
    const size_t begin = answer.body.find("\"data\":[", answer.body.find("\"" + output + "\"")) + 8;
    std::vector<std::string> numbers;
    for (const auto part : absl::StrSplit(
             absl::string_view(answer.body).substr(begin, answer.body.find(']', begin) - begin),
             ',')) {
      numbers.push_back(absl::StrFormat("%.17g", std::strtod(std::string(part).c_str(), nullptr)));
    }
    return numbers;
  };
  EXPECT_THAT(data_of("probabilities"), ElementsAreArray(probabilities));
  EXPECT_THAT(data_of("without_log_prob_change"), ElementsAreArray(changes));
  EXPECT_EQ(server.Stop().exit_code, 0);
}

TEST_F(ServeTest, ABatchAnswersAsAlmostTheSame) {
  Server server(*folder_, {"--max_batch=4", "--max_delay_ms=20", "--workers=1"});
  const std::vector<PredictedConversation> wanted =
      Parse(MustPredict({"--set=training { batch_size: 1 }", "--input=test.jsonl"}));
  std::vector<std::string> got(lines_->size());
  std::vector<std::thread> clients;
  for (size_t i = 0; i < lines_->size(); ++i) {
    clients.emplace_back([&, i] { got[i] = server.Predict(lines_->at(i) + "\n").body; });
  }
  for (std::thread& client : clients) client.join();
  for (size_t i = 0; i < got.size(); ++i) {
    const PredictedConversation one = Parse(got[i]).at(0);
    ASSERT_EQ(one.utterances_size(), wanted[i].utterances_size());
    EXPECT_EQ(one.id(), wanted[i].id());
    for (int u = 0; u < one.utterances_size(); ++u) {
      for (const auto& [name, probability] : wanted[i].utterances(u).probabilities()) {
        EXPECT_NEAR(one.utterances(u).probabilities().at(name), probability, 1e-5);
      }
    }
  }
  EXPECT_EQ(server.Stop().exit_code, 0);
}

TEST_F(ServeTest, ModelsAreSwappedAndTheServerStoppedWithoutLosingARequest) {
  Server server(*folder_, {});
  const std::string line = lines_->at(0) + "\n";
  const std::string wanted = server.Predict(line).body;
  std::atomic<bool> enough{false};
  std::atomic<int> answered{0}, lost{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      while (!enough) {
        const HttpAnswer answer = server.Predict(line);
        ++(answer.status == 200 && answer.body == wanted ? answered : lost);
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Ask(server.http(), "POST", "/v2/repository/models/tiny/load", "{}").status, 200);
  }
  server.Signal(SIGHUP);
  const std::string version_7 = "/v2/models/tiny/versions/7/ready";
  while (Ask(server.http(), "GET", version_7).status != 200) {
  }
  enough = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GT(answered, 0);
  EXPECT_EQ(lost, 0);

  // A request that has begun when the server is told to stop is answered.
  const serving::RawClient slow(server.http());
  slow.Send(absl::StrCat("POST /cmerc/models/tiny/predict HTTP/1.1\r\nHost: localhost\r\n",
                         "Content-Length: ", line.size(), "\r\n\r\n", line.substr(0, 10)));
  // Once this is answered the one before has been accepted.
  EXPECT_EQ(Ask(server.http(), "GET", "/v2/health/live").status, 200);
  server.Signal(SIGTERM);
  slow.Send(line.substr(10));
  EXPECT_EQ(serving::ParseAnswer(slow.ReadAnswer()).body, wanted);
  const Outcome stopped = server.Wait();
  EXPECT_EQ(stopped.exit_code, 0) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("loaded    tiny from run/selected.pth"));
}

TEST_F(ServeTest, AModelThatCannotBeLoadedLeavesTheOneBefore) {
  std::filesystem::copy_file(*folder_ + "/run/selected.pth", *folder_ + "/mine.pth");
  Server server(*folder_, {"--model=mine=mine.pth"});
  const std::string path = "/v2/repository/models/mine/";
  WriteFile(*folder_ + "/mine.pth", "damaged");
  const HttpAnswer refused = Ask(server.http(), "POST", path + "load", "{}");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("mine.pth"));
  EXPECT_EQ(Ask(server.http(), "GET", "/v2/models/mine/ready").status, 200);
  EXPECT_EQ(Ask(server.http(), "POST", path + "unload", "{}").status, 200);
  EXPECT_EQ(Ask(server.http(), "GET", "/v2/models/mine/ready").status, 503);
  EXPECT_EQ(Ask(server.http(), "GET", "/v2/health/ready").status, 503);
  EXPECT_EQ(Ask(server.http(), "POST", "/cmerc/models/mine/predict", lines_->at(0)).status, 503);
  EXPECT_EQ(Ask(server.http(), "GET", "/v2/health/live").status, 200);
  EXPECT_EQ(server.Stop().exit_code, 0);
}

TEST_F(ServeTest, RequestsThatDoNotFitTheModelAreRefusedByName) {
  Server server(*folder_, {"--max_utterances=50", "--extractor=cat"});
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "is empty"},
      {"no json\n", "line 1"},
      {R"({"id":"d","utterances":[{"speaker":"A","features":{"text":[1]}}]})", "text"},
      {R"({"id":"d","utterances":[{"speaker":"A","features":{"text":[1e60]}}]})", "1e60"},
      {R"({"id":"d","utterances":[]})", "utterances"},
      {R"({"id":"d","utterances":[{"speaker":"A","confidence":1,"features":{"text":[1]}}]})",
       "confidence is a key that answers have"},
  };
  for (const auto& [body, message] : cases) {
    const HttpAnswer answer = server.Predict(body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_THAT(answer.body, HasSubstr(message)) << body;
  }
  std::string many;
  for (int i = 0; i < 60; ++i) absl::StrAppend(&many, lines_->at(0), "\n");
  EXPECT_THAT(server.Predict(many).body, HasSubstr("--max_utterances"));
  // What the extractor, here cat, makes of a line is predicted.
  EXPECT_EQ(server.Predict(lines_->at(0), "?extract=true").body,
            server.Predict(lines_->at(0)).body);
  EXPECT_EQ(Ask(server.http(), "POST", "/cmerc/models/other/predict", "{}").status, 404);
  EXPECT_EQ(server.Stop().exit_code, 0);
}

// Features of another extractor than that of the training data mean something else.
TEST_F(ServeTest, FeaturesOfAnotherExtractorAreRefused) {
  std::vector<std::string> corpus;
  const std::vector<std::string> labelled = Lines(ReadFile(*folder_ + "/labelled.jsonl"));
  const auto made_by = [](absl::string_view line, const std::string& extractor) {
    return absl::StrCat("{\"extractors\":{\"text\":\"", extractor, "\"},", line.substr(1));
  };
  for (size_t i = 0; i < labelled.size(); ++i) {
    const char* split = i < 5 ? "train" : i < 7 ? "valid" : "test";
    corpus.push_back(absl::StrCat("{\"split\":\"", split, "\",",
                                  absl::string_view(made_by(labelled[i], "bert 1")).substr(1)));
  }
  Write("extracted.jsonl", corpus);
  WriteFile(*folder_ + "/extracted.textproto", R"(
    data { dataset { [type.googleapis.com/cmerc.RecordsOptions] { file: "extracted.jsonl" } } }
    backbone { [type.googleapis.com/cmerc.GruOptions] { hidden_width: 4 linear_width: 4 } }
    losses { loss { [type.googleapis.com/cmerc.NllOptions] {} } }
    training { epochs: 1 })");
  const Outcome trained =
      RunCmerc({"train", "--config=extracted.textproto", "--output=extracted"}, *folder_);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  Server server(*folder_, {"--model=extracted=extracted/selected.pth", "--extractor=cat"});
  const std::string path = "/cmerc/models/extracted/predict";
  EXPECT_EQ(Ask(server.http(), "POST", path, made_by(lines_->at(0), "bert 1")).status, 200);
  EXPECT_EQ(Ask(server.http(), "POST", path, lines_->at(0)).status, 200);  // does not say
  for (const char* query : {"", "?explain=true", "?extract=true"}) {
    const HttpAnswer refused =
        Ask(server.http(), "POST", path + query, made_by(lines_->at(0), "bert 2"));
    EXPECT_EQ(refused.status, 400) << query;
    EXPECT_THAT(refused.body, HasSubstr(R"(extractors.text is \"bert 2\", want \"bert 1\")"));
  }
  EXPECT_EQ(server.Stop().exit_code, 0);
}

TEST_F(ServeTest, AWrongCommandLineIsRefusedBeforeAnythingIsLoaded) {
  WriteFile(*folder_ + "/short", "secret\n");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "--model is missing"},
      {{"--model=run/selected.pth"}, "want NAME=FILE"},
      {{"--model=a=x.pth", "--model=a=y.pth"}, "a is there twice"},
      {{"--model=a=x.pth", "--host=0.0.0.0"}, "needs --token_file, --tls_cert and --tls_key"},
      {{"--model=a=x.pth", "--token_file=short"}, "at least 16"},
      {{"--models=a=x.pth"}, "--model"},
  };
  for (const auto& [flags, message] : cases) {
    std::vector<std::string> args = {"serve"};
    args.insert(args.end(), flags.begin(), flags.end());
    const Outcome outcome = RunCmerc(args, *folder_);
    EXPECT_EQ(outcome.exit_code, 2) << absl::StrJoin(args, " ");
    EXPECT_THAT(outcome.err, HasSubstr(message)) << absl::StrJoin(args, " ");
  }
}

TEST_F(ServeTest, CurlAndTritonclientUnderstandIt) {
  Server server(*folder_, {});
  const char* given = std::getenv("CMERC_PYTHON");
  const std::string python = given == nullptr ? "/usr/bin/python3" : given;
  const std::string script =
      std::filesystem::absolute("tests/end_to_end/serve_clients.py").string();
  const Outcome outcome = Python(
      {python, script, absl::StrCat(server.http()), absl::StrCat(server.grpc()), "test.jsonl"});
  EXPECT_EQ(server.Stop().exit_code, 0);
  if (outcome.exit_code == 77) GTEST_SKIP() << outcome.out;
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
}

TEST_F(ServeTest, ThePageWorksInChromium) {
  std::string chromium;
  for (const char* name : {"chromium", "chromium-headless-shell"}) {
    if (std::filesystem::exists(absl::StrCat("/usr/bin/", name))) {
      chromium = absl::StrCat("/usr/bin/", name);
    }
  }
  if (chromium.empty() || !std::filesystem::exists("/usr/bin/python3")) {
    GTEST_SKIP() << "there is no Chromium (Debian: chromium), or no python3";
  }
  Server server(*folder_, {"--sets=0.9"});
  const std::string script = std::filesystem::absolute("tests/end_to_end/serve_page.py").string();
  // Where TEST_UNDECLARED_OUTPUTS_DIR is set, its screenshot is kept.
  std::vector<std::string> args = {"/usr/bin/python3", script, chromium,
                                   absl::StrCat(server.http()), "test.jsonl"};
  const char* kept = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  if (kept != nullptr) args.push_back(absl::StrCat(kept, "/page.png"));
  const Outcome outcome = Python(args);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_EQ(server.Stop().exit_code, 0);
}

// The blocks of docs/serve.md of this language that begin so, for a server on these ports.
std::string ShownOf(const std::string& language, const std::string& begin, const Server& server) {
  std::string shown;
  for (const absl::string_view block : absl::StrSplit(ReadFile("docs/serve.md"), "\n```")) {
    const std::string prefix = absl::StrCat(language, "\n", begin);
    if (!absl::StartsWith(block, prefix)) continue;
    absl::StrAppend(&shown, block.substr(language.size() + 1), "\n");
  }
  return absl::StrReplaceAll(shown, {{":8000", absl::StrCat(":", server.http())},
                                     {":8001", absl::StrCat(":", server.grpc())}});
}

TEST_F(ServeTest, TheCommandsOfTheGuideWork) {
  if (!std::filesystem::exists("/usr/bin/curl")) GTEST_SKIP() << "there is no curl (Debian: curl)";
  Server server(*folder_, {"--model=meld=run/selected.pth"});
  Write("new.jsonl", *lines_);
  const std::string commands = ShownOf("sh", "curl", server);
  EXPECT_GE(std::count(commands.begin(), commands.end(), '\n'), 8);
  const Outcome shell = Shell(*folder_, commands);
  EXPECT_EQ(shell.exit_code, 0) << commands << shell.err;
  EXPECT_THAT(shell.out, HasSubstr("cmerc_utterances_total{model=\"meld\"}"));
  EXPECT_EQ(server.Stop().exit_code, 0);
}

TEST_F(ServeTest, ThePythonOfTheGuideWorks) {
  const char* python = std::getenv("CMERC_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "CMERC_PYTHON names no Python with tritonclient (PyPI)";
  Server server(*folder_, {"--model=meld=run/selected.pth"});
  Write("new.jsonl", *lines_);
  const Outcome script = Python({python, "-c", ShownOf("python", "", server)});
  EXPECT_EQ(script.exit_code, 0) << script.err;
  EXPECT_THAT(script.out, HasSubstr("class_"));
  EXPECT_EQ(server.Stop().exit_code, 0);
}

}  // namespace
}  // namespace cmerc
