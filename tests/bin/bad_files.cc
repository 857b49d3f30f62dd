#include "tests/bin/bad_files.h"

#include <filesystem>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "storage/pickle/writer.h"
#include "tests/bin/bad_habit_cases.h"
#include "tests/bin/bad_kind_cases.h"
#include "tests/bin/bad_objects.h"
#include "tests/bin/bad_plan_cases.h"
#include "tests/bin/bad_predict_cases.h"
#include "tests/bin/bad_record_cases.h"
#include "tests/bin/bad_stream_cases.h"
#include "tests/bin/files.h"
#include "tests/bin/tiny_files.h"
#include "tests/storage/zip.h"

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

// What torch.save() writes, of the data.pkl that `write` makes.
std::string TorchFile(const std::function<void(pickle::Writer&)>& write) {
  pickle::Writer writer;
  write(writer);
  return Zip(
      {{"archive/data.pkl", std::move(writer).Finish()}, {"archive/data/0", std::string(4, '\0')}},
      {/*zip64=*/true, ""});
}

// A dict of one tensor of one number.
void WriteWeights(pickle::Writer& writer) {
  writer.EmptyDict();
  writer.Mark();
  writer.String("weight");
  writer.Global("torch._utils", "_rebuild_tensor_v2");
  writer.Mark();
  writer.Mark();
  writer.String("storage"), writer.Global("torch", "FloatStorage"), writer.String("0");
  writer.String("cpu"), writer.Int(1);
  writer.TupleFromMark();
  writer.BinPersId();
  writer.Int(0);
  writer.Int(1), writer.Tuple(1), writer.Int(1), writer.Tuple(1);
  writer.Bool(false), writer.EmptyDict();
  writer.TupleFromMark();
  writer.Reduce();
  writer.SetItems();
}

// Files of Python in place of a checkpoint.
void WritePythonFiles(const std::string& folder) {
  WriteFile(folder + "/two_models.pth", TorchFile([](pickle::Writer& writer) {
              writer.EmptyDict();
              writer.Mark();
              writer.String("model"), WriteWeights(writer);
              writer.String("model_ema"), WriteWeights(writer);
              writer.SetItems();
            }));
  WriteFile(folder + "/whole_model.pth", TorchFile([](pickle::Writer& writer) {
              writer.Global("torch.nn.modules.linear", "Linear");
              writer.Tuple(0);
              writer.Reduce();
            }));
  WriteFile(folder + "/no_weights.pth", TorchFile([](pickle::Writer& writer) {
              writer.EmptyDict();
              writer.Mark();
              writer.String("epoch"), writer.Int(3);
              writer.SetItems();
            }));
  // The number that PyTorch before 1.6 writes first.
  WriteFile(folder + "/legacy.pth", "\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.");
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
  write_corpus("negative_label.pkl", [](TinyCorpus& c) { c.conversations[2].labels[1] = -2; });
  write_corpus("lengths.pkl", [](TinyCorpus& c) { c.conversations[0].text.pop_back(); });
  write_corpus("widths.pkl", [](TinyCorpus& c) { c.conversations[1].text = {{1}, {2}}; });
  write_corpus("no_train.pkl", [](TinyCorpus& c) { c.train.clear(); });
  write_corpus("no_valid.pkl", [](TinyCorpus& c) {
    c.train.insert(c.train.end(), c.valid.begin(), c.valid.end());
    c.valid.clear();
  });
  write_corpus("overlap.pkl", [](TinyCorpus& c) { c.test.push_back("Ses0"); });
  write_corpus("unknown_id.pkl", [](TinyCorpus& c) { c.train.push_back("Ses9"); });

  WriteBadObjects(folder);
  WriteBadConversations(folder);
  WriteBadUtterances(folder);
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
  for (const char* begun : {"begun_run", "uncalibrated_first/uncalibrated"}) {
    std::filesystem::create_directories(absl::StrCat(folder, "/", begun));
    write(absl::StrCat(begun, "/metrics.jsonl"), "");
  }
  for (const char* begun : {"begun_run", "uncalibrated_first"}) {
    write(absl::StrCat(begun, "/config.textproto"), ReadFile(folder + "/run/config.textproto"));
  }
  write("broken_metrics/metrics.jsonl",
        ReadFile(folder + "/run/metrics.jsonl") + "{\"epoch\": 1, \"total_loss\": }\n");
  write("broken_summary/summary.json", "{\n\"seed\": \"1\",\nselected_epoch\": 1}\n");

  write("other_classes/summary.json",
        absl::StrReplaceAll(ReadFile(folder + "/run/summary.json"), {{"class_2", "rage"}}));

  const std::string checkpoint = ReadFile(folder + "/run/selected.pth");
  write("truncated.pth", checkpoint.substr(0, checkpoint.size() / 2));
  write("python.pth", ReadFile("tests/golden/data/meld_state0.pt"));
  WritePythonFiles(folder);
  WriteBadRecords(folder);
  WriteKinds(folder);
  WriteKept(folder);
}

}  // namespace cmerc
