#include "tests/bin/bad_command_cases.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/bin/bad_arguments.h"

namespace cmerc {

void AddCommandLine(std::vector<BadInput>* cases) {
  const std::string commands =
      "commands: train, evaluate, predict, serve, difficulty, experiment, data, report, plugins, "
      "help";
  const std::vector<BadInput> more = {
      {"UnknownCommand", {"trian"}, {"unknown command \"trian\"", "did you mean train?", commands}},
      {"UnknownCommandFarFromAll", {"xyzzy"}, {"unknown command \"xyzzy\"", commands}},
      {"UnknownGlobalFlag",
       {"--versoin"},
       {"unknown command \"--versoin\"", "did you mean --version?"}},
      {"HelpOnUnknownCommand",
       {"help", "evalute"},
       {"unknown command \"evalute\"", "did you mean evaluate?"}},
      {"HelpOnTwoCommands",
       {"help", "train", "evaluate"},
       {"unexpected argument \"evaluate\"; flags look like --name=value", "cmerc help help"}},
      {"UnknownFlag",
       Train({"--ouput=x"}),
       {"unknown flag --ouput", "did you mean --output?", "--config, --set", "cmerc help train"}},
      {"FlagOfAnotherCommand",
       Train({"--views"}),
       {"unknown flag --views; flags: --config, --set", "cmerc help train"}},
      {"FlagOfACommandWithoutFlags",
       {"plugins", "--all"},
       {"unknown flag --all; this command has no flags", "cmerc help plugins"}},
      {"FlagWithoutValue", {"train", "--config"}, {"--config needs a value: --config=FILE"}},
      {"FlagWithEmptyValue", {"train", "--config="}, {"--config needs a value: --config=FILE"}},
      {"FlagInPlaceOfValue",
       {"train", "--config", "--overwrite"},
       {"--config needs a value: --config=FILE"}},
      {"FlagTwice",
       Train({"--config=tiny.textproto"}),
       {"--config is given twice", "cmerc help train"}},
      {"SwitchWithValue", Train({"--overwrite=yes"}), {"--overwrite takes no value"}},
      {"TensorboardWithFolder",
       Train({"--tensorboard=logs"}),
       {"--tensorboard takes no value", "cmerc help train"}},
      {"WordInPlaceOfFlag",
       {"train", "tiny.textproto"},
       {"unexpected argument \"tiny.textproto\"", "flags look like --name=value"}},
      {"DescribeFileBesideConfig",
       {"data", "describe", "good.pkl", "--config=tiny.textproto"},
       {"good.pkl is given beside --config, --input or --set; want a data set or files"}},
      {"ConvertFileWithoutConfig",
       {"data", "convert", "good.pkl", "--output=good.records"},
       {"--config=FILE or --input=FILE names what to convert", "`cmerc data describe good.pkl`"}},
      {"DescribeFileThatIsNotThere",
       {"data", "describe", "nowhere.pkl"},
       {"nowhere.pkl: cannot be opened: No such file or directory"}},
      {"UnknownPluginInCatalogue",
       {"plugins", "m4net"},
       {"no plugin m4net is linked into this program", "did you mean cmerc.M3NetOptions?",
        "linked losses: cmerc.CalibrationRankingOptions"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddEnvironment(std::vector<BadInput>* cases) {
  const std::vector<std::string> threads = {"must be a number of threads from 1 to 1024",
                                            "correct it, or unset it for one thread per processor"};
  const auto with_threads = [&](const std::string& name, const std::string& value) {
    return BadInput{name,
                    {"plugins"},
                    {absl::StrCat("OMP_NUM_THREADS=", value), threads[0], threads[1]},
                    {{"OMP_NUM_THREADS", value}}};
  };
  cases->push_back(with_threads("ThreadsThatAreNoNumber", "abc"));
  cases->push_back(with_threads("NoThreads", "0"));
  cases->push_back(with_threads("ThreadsWithoutValue", ""));
  cases->push_back(with_threads("InnerThreadsThatAreNoNumber", "2,all"));
  cases->push_back(with_threads("MoreThreadsThanAnyMachineHas", "1000000"));
  cases->push_back(
      {"MissingWorkingDirectory",
       {"plugins"},
       {"cannot change to BUILD_WORKING_DIRECTORY=/nonexistent", "No such file or directory",
        "start from a folder that exists", "unset the variable"},
       {{"BUILD_WORKING_DIRECTORY", "/nonexistent"}}});
  const std::string message = "cannot write to standard output; is it closed, or the disk full?";
  for (const auto& [name, command] : {std::make_pair("Help", "help"), {"Plugins", "plugins"}}) {
    cases->push_back(
        {absl::StrCat(name, "OntoAFullDisk"), {command}, {message}, {}, 1, "/dev/full"});
    cases->push_back({absl::StrCat(name, "IntoAClosedOutput"), {command}, {message}, {}, 1, "&-"});
  }
}

}  // namespace cmerc
