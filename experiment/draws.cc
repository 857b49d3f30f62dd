#include "experiment/draws.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "experiment/fnv1a.h"
#include "registry/range_check.h"

namespace cmerc {
namespace {

using Draws = google::protobuf::RepeatedPtrField<Draw>;
using Variations = google::protobuf::RepeatedPtrField<Variation>;

// Fields that say what a trial is trained and scored on, and by what.
constexpr const char* kSameForAll[] = {"data.dataset",
                                       "data.protocol",
                                       "data.folds",
                                       "data.fold",
                                       "data.test_folds",
                                       "data.test_fold",
                                       "data.fold_group",
                                       "data.context",
                                       "data.unscored_classes",
                                       "data.round_scores",
                                       "training.seed",
                                       "training.select_by",
                                       "training.compare_uncalibrated"};

bool DrawsFrom(const Draw& draw, const std::string& path) {
  return std::find(draw.path().begin(), draw.path().end(), path) != draw.path().end();
}

// "search.draw[0] (training.learning_rate)".
std::string Name(const PlacedDraw& placed) {
  if (placed.draw.path().empty()) return placed.place;
  return absl::StrCat(placed.place, " (", absl::StrJoin(placed.draw.path(), ", "), ")");
}

void CheckPaths(const PlacedDraw& placed, std::vector<std::string>* problems) {
  if (placed.draw.path().empty()) {
    problems->push_back(absl::StrCat(
        placed.place, ": nothing is drawn; name a field, as in path: \"training.learning_rate\""));
  }
  for (const std::string& path : placed.draw.path()) {
    if (path.empty() || path.find_first_of("= \t\n\r") != std::string::npos) {
      problems->push_back(absl::StrCat(placed.place, ".path = \"", path,
                                       "\", must be the path of a field, as in "
                                       "\"training.learning_rate\" or \"backbone.dropout\""));
    }
    for (const absl::string_view same : kSameForAll) {
      if (path != same && !absl::StartsWith(path, absl::StrCat(same, "."))) continue;
      problems->push_back(absl::StrCat(placed.place, ".path = \"", path,
                                       "\": trials that differ in it cannot be compared; set it "
                                       "for all of them"));
    }
  }
}

void CheckInterval(const PlacedDraw& placed, const std::string& kind, const Draw::Interval& range,
                   std::vector<std::string>* problems) {
  const std::string name = absl::StrCat(Name(placed), ": ", kind);
  if (!range.has_min() || !range.has_max()) {
    problems->push_back(absl::StrCat(name, " needs both min and max"));
  } else if (!std::isfinite(range.min()) || !std::isfinite(range.max()) ||
             !std::isfinite(range.max() - range.min())) {
    problems->push_back(
        absl::StrCat(name, " { min: ", range.min(), " max: ", range.max(), " }, must be finite"));
  } else if (range.min() >= range.max()) {
    problems->push_back(absl::StrCat(name, " { min: ", range.min(), " max: ", range.max(),
                                     " } has nothing to draw from; want min < max"));
  } else if (kind == "log_uniform" && range.min() <= 0) {
    problems->push_back(absl::StrCat(name, ".min = ", range.min(),
                                     ", must be > 0, to have a logarithm; or write uniform"));
  }
}

void CheckDraw(const PlacedDraw& placed, std::vector<std::string>* problems) {
  const Draw& draw = placed.draw;
  CheckPaths(placed, problems);
  const int kinds = (draw.has_uniform() ? 1 : 0) + (draw.has_log_uniform() ? 1 : 0) +
                    (draw.choice_size() > 0 ? 1 : 0);
  if (kinds != 1) {
    problems->push_back(absl::StrCat(
        Name(placed), kinds == 0 ? ": it says nothing to draw from" : ": it says more than one way",
        "; write one of uniform { min: ... max: ... }, log_uniform { min: ... max: ... } and "
        "choice: \"...\" choice: \"...\""));
    return;
  }
  if (draw.has_uniform()) CheckInterval(placed, "uniform", draw.uniform(), problems);
  if (draw.has_log_uniform()) CheckInterval(placed, "log_uniform", draw.log_uniform(), problems);
  std::set<std::string> seen;
  for (const std::string& choice : draw.choice()) {
    const bool has_space = std::any_of(choice.begin(), choice.end(), [](char c) {
      return absl::ascii_isspace(static_cast<unsigned char>(c));
    });
    if (choice.empty() || has_space) {
      problems->push_back(
          absl::StrCat(Name(placed), ": choice = \"", choice,
                       "\", must be a value as behind --set=PATH=, without spaces"));
    } else if (!seen.insert(choice).second) {
      problems->push_back(absl::StrCat(Name(placed), ": choice = \"", choice, "\" occurs twice"));
    }
  }
}

// "search.draw[0]" and so on.
std::vector<PlacedDraw> Placed(const Draws& draws, const std::string& owner) {
  std::vector<PlacedDraw> placed;
  for (int i = 0; i < draws.size(); ++i) {
    placed.push_back({absl::StrCat(owner, ".draw[", i, "]"), draws[i]});
  }
  return placed;
}

void CheckAll(const std::vector<PlacedDraw>& draws, std::vector<std::string>* problems) {
  std::set<std::string> seen;
  for (const PlacedDraw& placed : draws) {
    CheckDraw(placed, problems);
    for (const std::string& path : placed.draw.path()) {
      if (seen.insert(path).second) continue;
      problems->push_back(absl::StrCat(placed.place, ".path = \"", path, "\" is drawn twice"));
    }
  }
}

// The draws of the variations of a field of the plan.
std::vector<std::vector<PlacedDraw>> DrawsOfAll(const Variations& variations,
                                                const std::string& field) {
  std::vector<std::vector<PlacedDraw>> draws;
  for (int i = 0; i < variations.size(); ++i) {
    draws.push_back(Placed(variations[i].draw(), absl::StrCat(field, "[", i, "]")));
  }
  return draws;
}

void CheckSearch(const ExperimentPlan& plan, std::vector<std::string>* problems) {
  const Search& search = plan.search();
  CheckRanges(
      search, "search", [&](std::string problem) { problems->push_back(std::move(problem)); },
      [](const google::protobuf::Any&, const google::protobuf::FieldDescriptor&,
         const std::string&) {});
  const std::set<uint64_t> seeds(search.training_seeds().begin(), search.training_seeds().end());
  if (static_cast<int>(seeds.size()) != search.training_seeds_size()) {
    problems->push_back("search.training_seeds: one occurs twice; it would be the same run again");
  }
  if (search.set().training().has_seed()) {
    problems->push_back(absl::StrCat("search.set: training.seed = ", search.set().training().seed(),
                                     ", but every trial has its seeds; write search { "
                                     "training_seeds: ",
                                     search.set().training().seed(), " }"));
  }
  if (search.set().data().has_fold()) {
    problems->push_back(absl::StrCat(
        "search.set: data.fold = ", search.set().data().fold(),
        ", but a trial validates on the part seed mod data.folds; write search { training_seeds: ",
        search.set().data().fold(), " }"));
  }
  if (!search.has_variant()) return;
  std::vector<std::string> names;
  for (const Variation& variant : plan.variants()) names.push_back(variant.name());
  if (std::find(names.begin(), names.end(), search.variant()) == names.end()) {
    problems->push_back(
        absl::StrCat("search.variant = \"", search.variant(), "\", must be a variant of the plan: ",
                     names.empty() ? "it has none; leave it out" : absl::StrJoin(names, ", ")));
  }
}

// SplitMix64 (Steele, Lea and Flood 2014).
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// In [0, 1), from nothing but these.
double Unit(uint64_t seed, int trial, const std::string& path) {
  const uint64_t bits = Mix(Mix(Mix(seed) ^ static_cast<uint64_t>(trial)) ^ Fnv1a(path));
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

// With as many digits as it takes, and without an exponent where it is whole: options that are
// whole numbers are not read with one.
std::string Number(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (value == std::floor(value) && std::abs(value) < kExact) {
    return absl::StrCat(static_cast<int64_t>(value));
  }
  const std::string text = absl::StrFormat("%.6g", value);
  double read = 0;
  return absl::SimpleAtod(text, &read) && read == value ? text : absl::StrFormat("%.17g", value);
}

double SixDigits(double value) {
  double read = value;
  return absl::SimpleAtod(absl::StrFormat("%.6g", value), &read) ? read : value;
}

}  // namespace

void CheckDraws(const ExperimentPlan& plan, std::vector<std::string>* problems) {
  if (plan.has_search()) {
    CheckSearch(plan, problems);
    CheckAll(Placed(plan.search().draw(), "search"), problems);
  }
  for (const auto& all :
       {DrawsOfAll(plan.datasets(), "datasets"), DrawsOfAll(plan.backbones(), "backbones"),
        DrawsOfAll(plan.variants(), "variants")}) {
    for (const std::vector<PlacedDraw>& draws : all) {
      CheckAll(draws, problems);
      if (draws.empty() || plan.has_search()) continue;
      problems->push_back(absl::StrCat(draws[0].place,
                                       ": the plan has no search that draws it; add "
                                       "search { trials: 50 }, or remove it"));
    }
  }
}

std::vector<PlacedDraw> DrawsOf(const ExperimentPlan& plan, const std::string& dataset,
                                const PlannedVariant& variant) {
  std::vector<std::vector<PlacedDraw>> layers = {Placed(plan.search().draw(), "search")};
  const auto add = [&](const Variations& variations, const std::string& field,
                       const std::string& name) {
    const std::vector<std::vector<PlacedDraw>> draws = DrawsOfAll(variations, field);
    for (int i = 0; i < variations.size(); ++i) {
      if (variations[i].name() == name) layers.push_back(draws[static_cast<size_t>(i)]);
    }
  };
  add(plan.datasets(), "datasets", dataset);
  add(plan.backbones(), "backbones", variant.backbone);
  add(plan.variants(), "variants", variant.own_name);
  std::vector<PlacedDraw> all;
  for (std::vector<PlacedDraw>& layer : layers) {
    for (PlacedDraw& placed : layer) {
      const auto is_replaced = [&](const PlacedDraw& earlier) {
        return std::any_of(placed.draw.path().begin(), placed.draw.path().end(),
                           [&](const std::string& path) { return DrawsFrom(earlier.draw, path); });
      };
      all.erase(std::remove_if(all.begin(), all.end(), is_replaced), all.end());
      all.push_back(std::move(placed));
    }
  }
  return all;
}

std::string DrawnValue(const Draw& draw, bool whole, uint64_t seed, int trial) {
  const double unit = Unit(seed, trial, draw.path(0));
  if (draw.choice_size() > 0) return draw.choice(static_cast<int>(unit * draw.choice_size()));
  const bool is_log = draw.has_log_uniform();
  const double min = is_log ? draw.log_uniform().min() : draw.uniform().min();
  const double max = is_log ? draw.log_uniform().max() : draw.uniform().max();
  const double end = whole ? max + 1 : max;
  const double drawn = is_log ? std::exp(std::log(min) + unit * (std::log(end) - std::log(min)))
                              : min + unit * (end - min);
  return Number(std::clamp(whole ? std::floor(drawn) : SixDigits(drawn), min, max));
}

std::vector<std::string> ExtremeValues(const Draw& draw) {
  if (draw.choice_size() > 0) return {draw.choice().begin(), draw.choice().end()};
  const Draw::Interval& range = draw.has_uniform() ? draw.uniform() : draw.log_uniform();
  return {Number(range.min()), Number(range.max())};
}

std::vector<std::string> Assignments(const Draw& draw, const std::string& value) {
  std::vector<std::string> assignments;
  for (const std::string& path : draw.path()) {
    assignments.push_back(absl::StrCat(path, "=", value));
  }
  return assignments;
}

}  // namespace cmerc
