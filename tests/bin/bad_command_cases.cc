#include "tests/bin/bad_command_cases.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/bin/bad_arguments.h"

namespace cmerc {
namespace {

// Variables of torchrun, mpirun and srun that do not fit each other or the command.
void AddLaunches(std::vector<BadInput>* cases) {
  const std::string parts = "--set=training { parts: 2 }";
  const std::vector<BadInput> more = {
      {"RankWithoutTheNumberOfProcesses",
       Train({}),
       {"RANK is set without WORLD_SIZE, which torchrun sets beside it", "start the processes by",
        "or unset the variable for one process"},
       {{"RANK", "0"}}},
      {"RankThatIsNoNumber",
       Train({}),
       {"OMPI_COMM_WORLD_RANK=one, must be a number from 0 to "},
       {{"OMPI_COMM_WORLD_RANK", "one"}, {"OMPI_COMM_WORLD_SIZE", "2"}}},
      {"RankBeyondTheProcesses",
       Train({}),
       {"RANK=2 with WORLD_SIZE=2: ranks are counted from 0 to 1"},
       {{"RANK", "2"}, {"WORLD_SIZE", "2"}}},
      {"RankOfTwoLaunchers",
       Train({}),
       {"this process is 0 of 2 by torchrun (RANK, WORLD_SIZE), but 1 of 2 by Open MPI's mpirun",
        "start it by one of them, or unset the variables of the other"},
       {{"RANK", "0"},
        {"WORLD_SIZE", "2"},
        {"OMPI_COMM_WORLD_RANK", "1"},
        {"OMPI_COMM_WORLD_SIZE", "2"}}},
      {"AddressWithoutAPort",
       Train({}),
       {"MASTER_PORT is missing beside MASTER_ADDR", "set both, or neither"},
       {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "localhost"}}},
      {"ProcessesWithoutParts",
       Train({}),
       {"2 processes were started by torchrun (RANK, WORLD_SIZE), and without parts a step is of "
        "one process",
        "set training { parts: 8 }"},
       {{"RANK", "0"}, {"WORLD_SIZE", "2"}}},
      {"MoreProcessesThanParts",
       Train({parts}),
       {"3 processes were started by PMI (PMI_RANK, PMI_SIZE), but training { parts: 2 } has work "
        "for at most 2",
        "start fewer, or set more parts"},
       {{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}}},
      {"ProcessesWithoutAFolder",
       {"train", "--config=tiny.textproto", parts},
       {"2 processes were started by srun (SLURM_PROCID, SLURM_STEP_NUM_TASKS); name the folder of "
        "the run for all of them: --output=DIR"},
       {{"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}}},
      {"ProcessesThatAreProfiled",
       Train({parts, "--profile"}),
       {"--profile: 2 processes were started by torchrun", "profile one process"},
       {{"RANK", "1"}, {"WORLD_SIZE", "2"}}},
      {"ProcessesForACommandOfOne",
       Evaluate({"--output=out/scores.json"}),
       {"2 processes were started by srun", "`cmerc evaluate` is done by one; start it once",
        "unset these variables where each process does something else"},
       {{"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

}  // namespace

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
  AddLaunches(cases);
  const std::string message = "cannot write to standard output; is it closed, or the disk full?";
  for (const auto& [name, command] : {std::make_pair("Help", "help"), {"Plugins", "plugins"}}) {
    cases->push_back(
        {absl::StrCat(name, "OntoAFullDisk"), {command}, {message}, {}, 1, "/dev/full"});
    cases->push_back({absl::StrCat(name, "IntoAClosedOutput"), {command}, {message}, {}, 1, "&-"});
  }
}

}  // namespace cmerc
