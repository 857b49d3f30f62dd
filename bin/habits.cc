#include "bin/habits.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace cmerc {
namespace {

// `text` as one word of a shell.
std::string Quoted(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-_./=,:+", c);
  });
  if (plain) return text;
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

}  // namespace

const std::map<std::string, std::string>& FlagHabits() {
  static const auto* habits = new std::map<std::string, std::string>{
      {"epochs", "training.epochs"},
      {"num_epochs", "training.epochs"},
      {"max_epochs", "training.epochs"},
      {"lr", "training.learning_rate"},
      {"learning_rate", "training.learning_rate"},
      {"batch_size", "training.batch_size"},
      {"bs", "training.batch_size"},
      {"l2", "training.weight_decay"},
      {"weight_decay", "training.weight_decay"},
      {"optimizer", "training.optimizer"},
      {"optim", "training.optimizer"},
      {"scheduler", "training.learning_rate_schedule"},
      {"lr_scheduler", "training.learning_rate_schedule"},
      {"patience", "training.patience"},
      {"early_stopping", "training.patience"},
      {"ema", "training.ema_decay"},
      {"ema_decay", "training.ema_decay"},
      {"pretrained", "training.init_checkpoint"},
      {"init_checkpoint", "training.init_checkpoint"},
      {"monitor", "training.select_by"},
      {"select_by", "training.select_by"},
      {"seed", "training.seed"},
      {"threads", "training.threads"},
      {"num_threads", "training.threads"},
      {"num_workers", "training.threads"},
      {"device", "training.device"},
      {"gpu", "training.device"},
      {"cuda", "training.device"},
      {"precision", "training.precision"},
      {"clip", "training.gradient_clip_norm"},
      {"grad_clip", "training.gradient_clip_norm"},
      {"protocol", "data.protocol"},
      {"folds", "data.folds"},
      {"fold", "data.fold"},
      {"modals", "data.modalities"},
      {"modalities", "data.modalities"},
      {"backbone", "backbone"},
      {"model", "backbone"},
      {"dropout", "backbone.dropout"},
      {"base_model", "backbone.text_encoder"},
      {"norm", "backbone.norm"},
      {"num_l", "backbone.hypergraph_layers"},
      {"num_k", "backbone.high_frequency_layers"},
      {"use_residue", "backbone.use_residue"},
      {"use_speaker", "backbone.use_speaker"},
      {"use_modal", "backbone.use_modality_embedding"},
      {"rank_coff", "losses.CalibrationRanking.weight"},
      {"mscl_coff", "losses.Mscl.weight"},
      {"cscl_coff", "losses.Cscl.weight"},
      {"epoch_ratio", "curriculum.scheduler.epoch_ratio"},
      {"scheduler_steps", "curriculum.scheduler.scheduler_steps"},
      {"difficulty_file", "curriculum.difficulty_file"},
  };
  return *habits;
}

std::string SetInPlaceOf(const std::string& flag, const std::string& value) {
  const std::string name = absl::AsciiStrToLower(absl::StrReplaceAll(flag, {{"-", "_"}}));
  const auto habit = FlagHabits().find(name);
  if (habit == FlagHabits().end()) return "";
  const bool is_gpu = name == "gpu" || name == "cuda";  // switches, or a number, elsewhere
  return absl::StrCat("--set=", habit->second, "=",
                      is_gpu ? "cuda" : Quoted(value.empty() ? "VALUE" : value));
}

const std::map<std::string, std::string>& CommandHabits() {
  static const auto* habits = new std::map<std::string, std::string>{
      {"test", "evaluate"},
      {"eval", "evaluate"},
      {"validate", "evaluate"},
      {"score", "evaluate"},
      {"infer", "predict"},
      {"inference", "predict"},
      {"classify", "predict"},
      {"apply", "predict"},
      {"fit", "train"},
      {"resume", "train"},
      {"finetune", "train"},
      {"convert", "data convert"},
      {"describe", "data describe"},
      {"inspect", "data describe"},
      {"dataset", "data"},
      {"plot", "report"},
      {"visualize", "report"},
      {"sweep", "experiment"},
      {"tune", "experiment"},
      {"grid", "experiment"},
      {"list", "plugins"},
      {"models", "plugins"},
      {"backbones", "plugins"},
      {"losses", "plugins"},
      {"version", "--version"},
  };
  return *habits;
}

}  // namespace cmerc
