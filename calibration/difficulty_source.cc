#include "calibration/difficulty_source.h"

#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "calibration/as_trained.h"
#include "core/printable.h"
#include "core/status.h"
#include "storage/checkpoint.h"
#include "storage/trained_backbone.h"

namespace cmerc {
namespace {

using Protocol = DataConfig::Protocol;

// Whether what is tested on under one config is tested on under the other.
bool SameTestFold(const DataConfig& a, const DataConfig& b) {
  return a.test_folds() == b.test_folds() && a.test_fold() == b.test_fold() &&
         (a.test_folds() == 0 || a.fold_group() == b.fold_group());
}

// Difficulties of `data` as the model in the checkpoint at `path` finds them, and whether it was
// tested on what `config` tests on.
absl::StatusOr<MeasuredDifficulties> MeasureWith(const std::string& path, const RunConfig& config,
                                                 const PreparedData& data, bool* same_test_fold) {
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadCheckpoint(path));
  std::cerr << NoteLine(checkpoint, path);
  MeasuredDifficulties measured;
  RunConfig trained = config;  // a file that Python saved does not say how it was trained
  std::optional<PreparedData> prepared;
  if (checkpoint.metadata.has_value()) {
    trained = checkpoint.metadata->config();
    measured.protocol = trained.data().protocol();
    *same_test_fold = SameTestFold(trained.data(), config.data());
    ASSIGN_OR_RETURN(prepared, Annotate(PrepareAsTrained(config, data, *checkpoint.metadata),
                                        absl::StrCat("curriculum.difficulty_checkpoint = ", path)));
  }
  const PreparedData& seen = prepared.has_value() ? *prepared : data;
  ASSIGN_OR_RETURN(const std::shared_ptr<Backbone> backbone,
                   MakeTrainedBackbone(trained, seen.info, checkpoint, path));
  if (checkpoint.metadata.has_value()) {
    const std::string warning = OtherClassesWarning(checkpoint.metadata->dataset(), seen.info);
    if (!warning.empty()) {
      std::cerr << "warning: curriculum.difficulty_checkpoint: " << Printable(warning) << "\n";
    }
  }
  backbone->to(seen.device);
  ASSIGN_OR_RETURN(measured.table, MeasureDifficulties(*backbone, seen, trained.calibration()));
  return measured;
}

// What is doubtful about difficulties of a model that was trained under `theirs`, in a run under
// `ours`.
std::string WarningOf(const std::string& source, std::optional<Protocol> theirs, Protocol ours) {
  if (theirs == DataConfig::HELD_OUT) return "";
  const std::string from = absl::StrCat("the difficulties come from ", source);
  if (ours == DataConfig::OFFICIAL) {
    if (!theirs.has_value()) return "";  // the protocol promises nothing that this could break
    return absl::StrCat(from,
                        ", a model whose epoch the test split selected (protocol OFFICIAL): labels "
                        "of the test split reach the trained weights, not the choice of the epoch "
                        "alone");
  }
  return absl::StrCat(
      from,
      theirs.has_value()
          ? ", a model whose epoch the test split selected and that was trained on the validation "
            "split too (protocol OFFICIAL)"
          : ", which does not say the protocol of its model; the official code's files are of "
            "models whose epoch the test split selected",
      ": the test scores are then not held out; use those of a HELD_OUT model (`cmerc difficulty` "
      "to a .json, which says it), or training { compare_uncalibrated: true } in place of them");
}

// The same of a model that may have been trained on what is tested on now.
std::string TestFoldWarning(const std::string& source) {
  return absl::StrCat(
      "the difficulties come from ", source,
      ", whose model may have been trained on conversations that are tested on here "
      "(data.test_folds): the test scores are then not held out; use the checkpoint of a model "
      "with "
      "the same data.test_fold, or training { compare_uncalibrated: true } in place of it");
}

}  // namespace

absl::StatusOr<SourcedDifficulties> FindDifficulties(const RunConfig& config,
                                                     const PreparedData& data,
                                                     const Scheduler& scheduler,
                                                     Backbone* uncalibrated) {
  const CurriculumConfig& curriculum = config.curriculum();
  SourcedDifficulties found;
  if (!scheduler.needs_difficulty() && !curriculum.has_difficulty_file() &&
      !curriculum.has_difficulty_checkpoint() && uncalibrated == nullptr) {
    found.source = "a scheduler without difficulties";
    for (const int64_t index : data.train) {
      found.table.emplace_back(data.conversations[index].id, 0.0f);
    }
    return found;
  }
  MeasuredDifficulties measured;
  bool same_test_fold = config.data().test_folds() == 0;
  if (curriculum.has_difficulty_file()) {
    found.source = curriculum.difficulty_file();
    ASSIGN_OR_RETURN(measured, ReadDifficulties(found.source));
  } else if (curriculum.has_difficulty_checkpoint()) {
    found.source = curriculum.difficulty_checkpoint();
    ASSIGN_OR_RETURN(measured, MeasureWith(found.source, config, data, &same_test_fold));
  } else if (uncalibrated != nullptr) {
    found.source = "the uncalibrated model";
    same_test_fold = true;
    measured.protocol = config.data().protocol();
    ASSIGN_OR_RETURN(measured.table,
                     MeasureDifficulties(*uncalibrated, data, config.calibration()));
  } else {
    return absl::InvalidArgumentError(
        "curriculum.scheduler needs difficulties; set curriculum.difficulty_file (written by "
        "`cmerc difficulty`) or curriculum.difficulty_checkpoint, or let "
        "training.compare_uncalibrated train the model that they come from");
  }
  found.table = std::move(measured.table);
  if (scheduler.needs_difficulty()) {
    found.warning = same_test_fold
                        ? WarningOf(found.source, measured.protocol, config.data().protocol())
                        : TestFoldWarning(found.source);
  }
  return found;
}

}  // namespace cmerc
