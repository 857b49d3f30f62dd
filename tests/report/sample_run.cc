#include "tests/report/sample_run.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "metrics/json.h"

namespace cmerc {
namespace {

template <typename Message>
Message Parsed(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

constexpr char kSplit[] = R"pb(
  conversations: 2
  utterances: 5
  loss: 0.5
  accuracy: 0.8
  weighted_f1: 0.79
  macro_f1: 0.78
  classes { name: "joy" precision: 0.75 recall: 1 f1: 0.857 support: 3 }
  classes { name: "fear & <loathing>" precision: 1 recall: 0.5 f1: 0.667 support: 2 }
  confusion { predicted: 3 predicted: 0 }
  confusion { predicted: 1 predicted: 1 }
)pb";

std::string Calibration(double ece) {
  return absl::StrCat("calibration { ece: ", ece, R"pb(
      adaptive_ece: 0.11
      classwise_ece: 0.12
      mce: 0.4
      brier: 0.3
      nll: 0.6
      aurc: 0.1
      e_aurc: 0.05
      bins {}
      bins { utterances: 2 confidence: 0.5 accuracy: 0.5 }
      bins { utterances: 3 confidence: 0.9 accuracy: 1 }
    }
  )pb");
}

std::string Views(double share) {
  return absl::StrCat("views { view: 'text' share_surer_without: ", share,
                      " mean_log_prob_rise: -0.5 share_predicted_surer_without: 0.3 "
                      "mean_predicted_log_prob_rise: -0.4 ",
                      Calibration(0.2),
                      "} views { view: 'same_speaker' share_surer_without: ", share,
                      " mean_log_prob_rise: 0.125 ", Calibration(0.1), "}");
}

}  // namespace

RunSummary SampleSummary() {
  const std::string identity =
      "protocol: 'HELD_OUT (the validation split selects the epoch)' seed: 7 selected_epoch: 2 "
      "epochs_from: 1 "
      "versions { key: 'libtorch' value: '1.13.1' } versions { key: 'cmerc' value: '0.1' } "
      "backbone: 'cmerc.M3NetOptions' parameters: 1234 ";
  const std::string splits =
      absl::StrCat("train {", kSplit, "} valid {", kSplit, "} test {", kSplit);
  return Parsed<RunSummary>(absl::StrCat(
      identity, splits, Calibration(0.05), Views(0.2),
      "post_hoc { method: 'temperature' parameters: 1.25 accuracy: 0.8 weighted_f1: 0.79 ",
      Calibration(0.04), " share_surer_without: 0.2 share_surer_without: 0.25 } } uncalibrated {",
      identity, splits, Calibration(0.06), Views(0.4), "} }"));
}

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  ASSERT_TRUE(out.flush().good()) << path;
}

std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string WriteSampleRun(const std::string& name) {
  static int counter = 0;
  const std::string folder =
      absl::StrCat(testing::TempDir(), "/sample_runs/", counter++, "/", name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder + "/uncalibrated");
  std::string metrics, plain_metrics, timing;
  for (int epoch = 1; epoch <= 3; ++epoch) {
    const std::string report = absl::StrCat(
        "epoch: ", epoch, " conversations: ", 1 + epoch, " steps: 2 total_loss: ", 1.0 / epoch,
        " train_accuracy: 0.7 train_weighted_f1: 0.6", " valid {", kSplit,
        " calibration { ece: 0.1 } } losses { loss: 'cmerc.NllOptions' value: 0.75 } ");
    absl::StrAppend(&plain_metrics, ToJson(Parsed<EpochReport>(report), false), "\n");
    absl::StrAppend(
        &metrics,
        ToJson(Parsed<EpochReport>(absl::StrCat(
                   report, "losses { loss: 'cmerc.CalibrationRankingOptions' value: 0.25 }")),
               false),
        "\n");
    absl::StrAppend(&timing,
                    ToJson(Parsed<TimingReport>(absl::StrCat(
                               "epoch: ", epoch, " train_seconds: 1.5 total_seconds: 2 ",
                               "peak_memory_bytes: 2e8 slowest_step { seconds: 0.", epoch,
                               " utterances: 9 conversations: 'Ses1' conversations: 'Ses2' }")),
                           false),
                    "\n");
  }
  WriteText(folder + "/config.textproto", "training { seed: 7 }  # <b> & co\n");
  WriteText(folder + "/metrics.jsonl", metrics);
  WriteText(folder + "/uncalibrated/metrics.jsonl", plain_metrics);
  WriteText(folder + "/timing.jsonl", timing);
  WriteText(folder + "/summary.json", ToJson(SampleSummary(), true));
  WriteText(
      folder + "/curriculum.json",
      ToJson(
          Parsed<CurriculumReport>(R"pb(
            difficulties_from: "the uncalibrated model"
            epochs_from: 1
            conversations { conversation: "Ses1" difficulty: 0.25 utterances: 4 first_epoch: 1 }
            conversations { conversation: "Ses2" difficulty: 0.5 utterances: 5 first_epoch: 3 }
            conversations { conversation: "Ses<3>" difficulty: 0.75 utterances: 6 first_epoch: -1 }
          )pb"),
          true));
  return folder;
}

}  // namespace cmerc
