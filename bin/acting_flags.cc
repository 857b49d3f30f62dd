#include "bin/acting_flags.h"

#include <algorithm>
#include <iostream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "bin/session.h"
#include "core/status.h"
#include "registry/nearest_name.h"

namespace cmerc {
namespace {

// The value of --`flag`, a share `of` something. InvalidArgument: it is none above 0 and below 1.
absl::StatusOr<double> ShareFlag(const Flags& flags, const std::string& flag,
                                 const std::string& of) {
  const std::string text = flags.Get(flag);
  absl::string_view digits = text;
  const bool has_sign = absl::ConsumeSuffix(&digits, "%");
  double value = 0;
  // NaN is no share either.
  const bool is_number = absl::SimpleAtod(digits, &value);
  if (is_number && !has_sign && value > 0 && value < 1) return value;
  std::string advice;
  if (is_number && value > 1 && value < 100) {
    advice = absl::StrFormat("; did you mean --%s=%g?", flag, value / 100);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, "=", text, ", must be a number above 0 and below 1: ", of, advice));
}

absl::StatusOr<SetMethod> MethodFlag(const Flags& flags) {
  const std::string name = flags.Get("sets_method");
  const std::vector<std::string>& names = SetMethodNames();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<SetMethod>(found - names.begin());
  const std::string nearest = NearestName(name, names);
  return absl::InvalidArgumentError(
      absl::StrCat("--sets_method=", name, ", must be one of: ", absl::StrJoin(names, ", "),
                   nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?")));
}

}  // namespace

absl::StatusOr<ActingFlags> ActingFlags::Of(const Flags& flags) {
  ActingFlags acting;
  if (flags.has("sets")) {
    ASSIGN_OR_RETURN(acting.coverage,
                     ShareFlag(flags, "sets", "how often the true class shall be in the set"));
  }
  if (flags.has("sets_method")) {
    ASSIGN_OR_RETURN(acting.method, MethodFlag(flags));
    if (!acting.coverage.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--sets_method=", flags.Get("sets_method"),
                       " says how the sets of --sets=COVERAGE are made; add --sets=0.9"));
    }
  }
  if (flags.has("abstain_below")) {
    ASSIGN_OR_RETURN(
        acting.abstain_below,
        ShareFlag(flags, "abstain_below", "the probability that an answer must have at least"));
  }
  return acting;
}

absl::Status ActingFlags::LetAnswer(const std::string& checkpoint, Predictor* predictor) const {
  AnswerRules rules;
  rules.abstain_below = abstain_below;
  if (coverage.has_value()) {
    if (!predictor->sets().has_value()) {
      return absl::InvalidArgumentError(WithoutSets(checkpoint, predictor->config()));
    }
    rules.sets.emplace(*predictor->sets(), method, *coverage);
    std::cerr << absl::StrFormat(
        "sets: %s, made to have the true class of a random utterance of a new conversation with "
        "probability %g; calibrated on the %d conversations of the validation split\n",
        NameOf(method), *coverage, rules.sets->conversations());
    PrintWarnings(rules.sets->Remarks(predictor->info().class_names));
  }
  predictor->AnswerBy(std::move(rules));
  return absl::OkStatus();
}

std::string WithoutSets(const std::string& checkpoint, const RunConfig& config) {
  return absl::StrCat(
      "--sets: ", checkpoint,
      " carries no scores of a validation split, which sets are made from: ",
      config.data().protocol() == DataConfig::OFFICIAL
          ? "protocol OFFICIAL leaves no validation split; train under HELD_OUT"
      : absl::EndsWith(checkpoint, "last.pth")
          ? "last.pth never does; take selected.pth of the same run"
          : absl::StrCat("it is of an earlier version, or Python saved it; train again, or have "
                         "the sets of a split of its data set scored: cmerc evaluate --checkpoint=",
                         checkpoint, " --sets=0.9"));
}

}  // namespace cmerc
