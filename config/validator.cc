#include "config/validator.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <map>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "config/text_parser.h"
#include "registry/range_check.h"
#include "registry/registry.h"

namespace cmerc::config {
namespace {

using google::protobuf::Any;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The kind of plugin that a field of RunConfig takes; "" for another plugin's field, which
// may take any kind.
std::string KindOf(const FieldDescriptor& field) {
  static const auto* kinds = new std::map<std::string, std::string>{
      {"cmerc.DataConfig.dataset", "dataset"},
      {"cmerc.RunConfig.backbone", "backbone"},
      {"cmerc.LossConfig.loss", "loss"},
      {"cmerc.CurriculumConfig.scheduler", "scheduler"},
      {"cmerc.TrainingConfig.learning_rate_schedule", "learning_rate"},
  };
  const auto it = kinds->find(field.full_name());
  return it == kinds->end() ? "" : it->second;
}

class Validator {
 public:
  Validator(const std::set<std::string>& unknown_plugins, Problems* problems)
      : unknown_plugins_(unknown_plugins), problems_(*problems) {}

  // Checks every field that is set, and what is inside it.
  void CheckFields(const Message& message, const std::string& path) {
    CheckRanges(
        message, path, [this](std::string problem) { Report(std::move(problem)); },
        [this](const Any& any, const FieldDescriptor& field, const std::string& any_path) {
          CheckPlugin(any, KindOf(field), any_path);
        });
  }

  // Checks the options in `any`, which may be missing. `kind` is what KindOf() says of the field.
  void CheckPlugin(const Any& any, const std::string& kind, const std::string& path) {
    const std::string type_name = PluginType(any);
    if (unknown_plugins_.count(type_name) != 0) return;
    const RegistryBase* registry = nullptr;
    for (const RegistryBase* candidate : AllRegistries()) {
      const bool wanted =
          kind.empty() ? candidate->plugins().count(type_name) != 0 : candidate->kind() == kind;
      if (wanted) registry = candidate;
    }
    if (registry == nullptr) {
      Report(absl::StrCat(
          path, ": ",
          kind.empty() ? UnknownPluginMessage(type_name)
                       : absl::StrCat("this program has no ", PluralKind(kind), "; link one in")));
      return;
    }
    const absl::StatusOr<std::unique_ptr<Message>> options = registry->Unpack(any);
    if (!options.ok()) {
      Report(absl::StrCat(path, ": ", std::string(options.status().message())));
      return;
    }
    // An Any of text has passed the parser's limit, but one may also be given as bytes.
    if (depth_ == kDeepestConfig) {
      Report(absl::StrCat(path, ": plugins are nested deeper than ", kDeepestConfig));
      return;
    }
    ++depth_;
    CheckFields(**options, absl::StrCat(path, "[", type_name, "]"));
    --depth_;
  }

  void CheckStructure(const RunConfig& config) {
    // Absent plugins; CheckFields() sees the present ones.
    if (!config.data().has_dataset()) CheckPlugin(Any(), "dataset", "data.dataset");
    if (!config.has_backbone()) CheckPlugin(Any(), "backbone", "backbone");
    CheckFolds(config.data());
    CheckRounding(config);
    CheckTraining(config.training());
    CheckParts(config);
    CheckContext(config);
    CheckLosses(config);
    if (config.has_curriculum()) CheckCurriculum(config.curriculum());
  }

 private:
  void Report(std::string message) { problems_.Add(std::move(message)); }

  void CheckFolds(const DataConfig& data) {
    if (data.folds() == 1) {
      Report("data.folds = 1, must be 0 or >= 2: a single part would leave nothing to train on");
    } else if (data.folds() > 1 && data.fold() >= data.folds()) {
      Report(absl::StrCat("data.fold = ", data.fold(), ", must be < data.folds = ", data.folds()));
    }
    if (data.folds() > 0 && data.protocol() != DataConfig::HELD_OUT) {
      Report(
          "data.folds: only the HELD_OUT protocol validates; set data { protocol: HELD_OUT } or "
          "folds: 0");
    }
    CheckTestFolds(data);
    if (data.fold_group().empty()) return;
    if (data.folds() == 0 && data.test_folds() == 0) {
      Report(absl::StrCat("data.fold_group = \"", data.fold_group(),
                          "\" says what data.folds must not divide; set folds too (or test_folds), "
                          "or leave it out"));
    }
    for (size_t i = 0; i < data.fold_group().size(); ++i) {
      if (data.fold_group()[i] != '*') continue;
      const char next = i + 1 < data.fold_group().size() ? data.fold_group()[i + 1] : '*';
      if (next != '*' && next != '?') continue;
      Report(absl::StrCat("data.fold_group = \"", data.fold_group(),
                          "\": after * must come the character that it ends before, as in \"*_\""));
      return;
    }
  }

  void CheckTestFolds(const DataConfig& data) {
    if (data.test_folds() == 0) {
      if (data.test_fold() == 0) return;
      Report(absl::StrCat("data.test_fold = ", data.test_fold(),
                          " is one of data.test_folds parts; set test_folds too, or leave it out"));
      return;
    }
    if (data.test_folds() == 1) {
      Report(
          "data.test_folds = 1, must be 0 or >= 2: a single part would leave nothing to train on");
    } else if (data.test_folds() == 2 && data.folds() == 0) {
      Report(
          "data.test_folds = 2: one part is tested on and the other one validated on, which leaves "
          "nothing to train on; set 3 or more, or data.folds, which divides what is not tested on");
    }
    if (data.test_folds() > 1 && data.test_fold() >= data.test_folds()) {
      Report(absl::StrCat("data.test_fold = ", data.test_fold(),
                          ", must be < data.test_folds = ", data.test_folds()));
    }
    if (data.protocol() != DataConfig::HELD_OUT) {
      Report(
          "data.test_folds: under OFFICIAL the part that is tested on would select the epoch; set "
          "data { protocol: HELD_OUT } or test_folds: 0");
    }
  }

  void CheckRounding(const RunConfig& config) {
    if (!config.data().round_scores()) return;
    if (config.training().select_by() != TrainingConfig::WEIGHTED_F1) {
      Report(absl::StrCat("data.round_scores = true rounds weighted F1 and training.select_by = ",
                          TrainingConfig::SelectBy_Name(config.training().select_by()),
                          " does not select by it; leave one of them out"));
    }
    if (config.data().protocol() != DataConfig::OFFICIAL) {
      Report(
          "data.round_scores = true, must be false unless protocol is OFFICIAL: only the official "
          "code rounds; leave it out, or set data { protocol: OFFICIAL }");
    }
  }

  void CheckTraining(const TrainingConfig& training) {
    if (training.init_checkpoint().empty() &&
        training.init_parameters_size() + training.init_skip_size() > 0) {
      Report(absl::StrCat("training.",
                          training.init_parameters_size() > 0 ? "init_parameters" : "init_skip",
                          " chooses what is taken from training.init_checkpoint, which is not set; "
                          "set it, or leave "
                          "this out"));
    }
    const double decay = training.learning_rate() * training.weight_decay();
    if (training.optimizer() == TrainingConfig::ADAMW && decay >= 1) {
      Report(
          absl::StrCat("training.weight_decay = ", training.weight_decay(),
                       ", must be below 1 / learning_rate = ", 1 / training.learning_rate(),
                       " with ADAMW, which scales weights by 1 - learning_rate * weight_decay in "
                       "every step"));
    }
  }

  void CheckParts(const RunConfig& config) {
    const int parts = config.training().parts();
    if (parts <= 0) return;
    if ((parts & (parts - 1)) != 0) {
      Report(absl::StrCat("training.parts = ", parts,
                          ", must be 0 or a power of two: 1, 2, 4, 8 and so on up to 1024"));
    }
    if (config.training().cuda_graphs()) {
      Report(
          "training.parts: a step in parts cannot be replayed as training.cuda_graphs does; leave "
          "one of them out");
    }
    if (config.calibration().masked_mean() == CalibrationConfig::PADDED_ROWS) {
      Report(
          "training.parts: with calibration.masked_mean: PADDED_ROWS the mean depends on the "
          "longest conversation of the batch, which a part does not know; set masked_mean: "
          "REAL_UTTERANCES, or parts: 0");
    }
  }

  void CheckContext(const RunConfig& config) {
    if (config.data().context() == DataConfig::PAST &&
        config.calibration().masked_mean() == CalibrationConfig::PADDED_ROWS) {
      Report(
          "calibration.masked_mean = PADDED_ROWS, must be REAL_UTTERANCES with data.context: PAST: "
          "the official code's mean is over later utterances and padding too; leave it out, or set "
          "data { context: CONVERSATION }");
    }
  }

  void CheckLosses(const RunConfig& config) {
    if (config.losses().empty()) {
      CheckPlugin(Any(), "loss", "losses");
      return;
    }
    bool all_zero = true;
    for (int i = 0; i < config.losses_size(); ++i) {
      const LossConfig& loss = config.losses(i);
      if (!loss.has_loss()) CheckPlugin(Any(), "loss", absl::StrCat("losses[", i, "].loss"));
      all_zero = all_zero && loss.weight() == 0;
    }
    if (all_zero) Report("losses: every weight is 0, so there is nothing to minimize");
  }

  void CheckCurriculum(const CurriculumConfig& curriculum) {
    if (!curriculum.has_scheduler()) CheckPlugin(Any(), "scheduler", "curriculum.scheduler");
    if (curriculum.has_difficulty_file() && curriculum.has_difficulty_checkpoint()) {
      Report(absl::StrCat("curriculum: difficulty_file = \"", curriculum.difficulty_file(),
                          "\" and difficulty_checkpoint = \"", curriculum.difficulty_checkpoint(),
                          "\" are both given; keep one"));
    }
  }

  const std::set<std::string>& unknown_plugins_;
  Problems& problems_;
  int depth_ = 0;  // plugins around the present message
};

}  // namespace

void Validate(const RunConfig& config, const std::set<std::string>& unknown_plugins,
              Problems* problems) {
  Validator validator(unknown_plugins, problems);
  validator.CheckFields(config, "");
  validator.CheckStructure(config);
}

}  // namespace cmerc::config
