#include "tests/bin/bad_files.h"

#include <filesystem>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "storage/pickle/writer.h"
#include "tests/bin/bad_kind_cases.h"
#include "tests/bin/bad_plan_cases.h"
#include "tests/bin/bad_predict_cases.h"
#include "tests/bin/bad_record_cases.h"
#include "tests/bin/files.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

// {"train_0": 0.5, ...} as our own file has it.
std::string DifficultyJson(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string json;
  for (const auto& [id, difficulty] : entries) {
    absl::StrAppend(&json, json.empty() ? "" : ",", "{\"conversation\": \"", id,
                    "\", \"difficulty\": ", difficulty, "}");
  }
  return absl::StrCat("{\"conversations\": [", json, "]}");
}

}  // namespace

void WriteBadFiles(const std::string& folder) {
  const auto write = [&](const std::string& name, const std::string& contents) {
    WriteFile(absl::StrCat(folder, "/", name), contents);
  };
  write("empty", "");

  const TinyCorpus good;
  const std::string bytes = PickleOf(good);
  write("good.pkl", bytes);
  write("truncated.pkl", bytes.substr(0, bytes.size() / 2));
  write("hostile.pkl", PickleThatRuns("touch hostile"));
  const auto write_corpus = [&](const std::string& name, const auto& spoil) {
    TinyCorpus corpus = good;
    spoil(corpus);
    write(name, PickleOf(corpus));
  };
  write_corpus("nan.pkl", [](TinyCorpus& c) {
    c.conversations[1].text[1][0] = std::numeric_limits<double>::quiet_NaN();
  });
  write_corpus("infinite.pkl", [](TinyCorpus& c) {
    c.conversations[0].text[0][1] = std::numeric_limits<double>::infinity();
  });
  write_corpus("negative_label.pkl", [](TinyCorpus& c) { c.conversations[2].labels[1] = -1; });
  write_corpus("lengths.pkl", [](TinyCorpus& c) { c.conversations[0].text.pop_back(); });
  write_corpus("widths.pkl", [](TinyCorpus& c) { c.conversations[1].text = {{1}, {2}}; });
  write_corpus("no_train.pkl", [](TinyCorpus& c) { c.train.clear(); });
  write_corpus("no_valid.pkl", [](TinyCorpus& c) {
    c.train.insert(c.train.end(), c.valid.begin(), c.valid.end());
    c.valid.clear();
  });
  write_corpus("no_test.pkl", [](TinyCorpus& c) { c.test.clear(); });
  write_corpus("overlap.pkl", [](TinyCorpus& c) { c.test.push_back("Ses0"); });
  write_corpus("unknown_id.pkl", [](TinyCorpus& c) { c.train.push_back("Ses9"); });

  WriteBadConversations(folder);
  WriteBadPlans(folder);

  pickle::Writer difficulty;
  difficulty.EmptyDict();
  difficulty.Mark();
  difficulty.String("Ses0");
  difficulty.Float(0.5);
  difficulty.SetItems();
  write("difficulty.pkl", std::move(difficulty).Finish());
  write("nan.json", DifficultyJson({{"train_0", "\"NaN\""}}));
  write("twice.json", DifficultyJson({{"train_0", "1"}, {"train_0", "1"}}));
  write("truncated.json", "{\"conversations\": [{\"conversation\": \"train_0\", \"diff");

  std::filesystem::create_directory(folder + "/empty_folder");
  for (const std::string broken : {"broken_metrics", "broken_summary", "other_classes"}) {
    std::filesystem::create_directory(absl::StrCat(folder, "/", broken));
    for (const char* file : {"/config.textproto", "/metrics.jsonl", "/summary.json"}) {
      write(broken + file, ReadFile(absl::StrCat(folder, "/run", file)));
    }
  }
  write("broken_metrics/metrics.jsonl",
        ReadFile(folder + "/run/metrics.jsonl") + "{\"epoch\": 1, \"total_loss\": }\n");
  write("broken_summary/summary.json", "{\n\"seed\": \"1\",\nselected_epoch\": 1}\n");

  write("other_classes/summary.json",
        absl::StrReplaceAll(ReadFile(folder + "/run/summary.json"), {{"class_2", "rage"}}));

  const std::string checkpoint = ReadFile(folder + "/run/selected.pth");
  write("truncated.pth", checkpoint.substr(0, checkpoint.size() / 2));
  write("python.pth", ReadFile("tests/golden/data/meld_state0.pt"));
  WriteBadRecords(folder);
  WriteKinds(folder);
}

}  // namespace cmerc
