#include "tests/bin/bad_arguments.h"

#include "absl/strings/str_cat.h"

namespace cmerc {

Args Train(const Args& more) {
  Args args = {"train", "--config=tiny.textproto"};
  bool has_output = false;
  for (const std::string& arg : more) {
    has_output = has_output || arg.rfind("--output", 0) == 0;
    args.push_back(arg);
  }
  if (!has_output) args.push_back("--output=out/of/this");
  return args;
}

Args TrainSet(const std::string& fragment) { return Train({"--set=" + fragment}); }
Args TrainModel(const std::string& options) {
  return TrainSet("backbone { [type.googleapis.com/cmerc.M3NetOptions] { " + options + " } }");
}

Args TrainLoss(const std::string& loss) { return TrainSet("losses { " + loss + " }"); }
Args TrainSynthetic(const std::string& options) {
  return TrainSet("data { dataset { [type.googleapis.com/cmerc.SyntheticOptions] { " + options +
                  " } } }");
}

Args TrainPickle(const std::string& file, const std::string& options) {
  return TrainSet(
      absl::StrCat("data { dataset { [type.googleapis.com/cmerc.OfficialPicklesOptions] ",
                   "{ roberta_file: '", file, "' ", options, options.empty() ? "" : " ", "} } }"));
}

Args TrainCurriculum(const std::string& fields) {
  return TrainSet("curriculum { scheduler { [type.googleapis.com/cmerc.BabyStepOptions] {} } " +
                  fields + " }");
}

Args Evaluate(const Args& more) {
  Args args = {"evaluate", "--checkpoint=run/selected.pth"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

Args Difficulty(const Args& more) {
  Args args = {"difficulty", "--checkpoint=run/selected.pth"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

}  // namespace cmerc
