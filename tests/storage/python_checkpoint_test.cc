// What training scripts save around a state dict: which dict is read, what is said of it, and what
// is refused with the line of Python that helps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/checkpoint.h"
#include "storage/pickle/writer.h"
#include "tests/storage/zip.h"

namespace cmerc {
namespace {

using pickle::Writer;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

// One entry of a dict: its key, and what writes its value.
struct Entry {
  std::string key;
  std::function<void(Writer&)> write;
};

void WriteDict(Writer& writer, const std::vector<Entry>& entries) {
  writer.EmptyDict();
  writer.Mark();
  for (const Entry& entry : entries) {
    writer.String(entry.key);
    entry.write(writer);
  }
  writer.SetItems();
}

// A tensor [2]: elements 2 * place and 2 * place + 1 of the only storage, which count up from 0.
Entry Tensor(const std::string& key, int64_t place) {
  return {key, [place](Writer& writer) {
            writer.Global("torch._utils", "_rebuild_tensor_v2");
            writer.Mark();
            writer.Mark();
            writer.String("storage");
            writer.Global("torch", "FloatStorage");
            writer.String("0");
            writer.String("cuda:0");
            writer.Int(8);
            writer.TupleFromMark();
            writer.BinPersId();
            writer.Int(2 * place);
            for (const int64_t extent : {2, 1}) {
              writer.Int(extent);
              writer.Tuple(1);
            }
            writer.Bool(false);
            writer.EmptyDict();
            writer.TupleFromMark();
            writer.Reduce();
          }};
}

Entry Dict(const std::string& key, const std::vector<Entry>& entries) {
  return {key, [entries](Writer& writer) { WriteDict(writer, entries); }};
}

Entry Number(const std::string& key, int64_t value) {
  return {key, [value](Writer& writer) { writer.Int(value); }};
}

// argparse.Namespace(lr=1), as pickle writes it.
Entry Arguments(const std::string& key) {
  return {key, [](Writer& writer) {
            writer.Global("argparse", "Namespace");
            writer.Tuple(0);
            writer.Reduce();
            WriteDict(writer, {Number("lr", 1)});
            writer.Build();
          }};
}

// An object of a class that nobody allows.
Entry Object(const std::string& key, const std::string& module, const std::string& name) {
  return {key, [module, name](Writer& writer) {
            writer.Global(module, name);
            writer.Tuple(0);
            writer.Reduce();
          }};
}

// What Adam keeps: dicts of tensors by number, and the numbers of parameters.
Entry Optimizer(const std::string& key) {
  return {key, [](Writer& writer) {
            writer.EmptyDict();
            writer.Mark();
            writer.String("state");
            writer.EmptyDict();
            writer.Mark();
            writer.Int(0);
            WriteDict(writer, {Tensor("exp_avg", 3), Tensor("exp_avg_sq", 3)});
            writer.SetItems();
            writer.String("param_groups");
            writer.EmptyList();
            writer.SetItems();
          }};
}

std::string Pickle(const std::vector<Entry>& entries) {
  Writer writer;
  WriteDict(writer, entries);
  return std::move(writer).Finish();
}

// The path of a file with these records and the storage.
std::string WriteArchive(const std::string& pickled, std::vector<ZipRecord> more = {}) {
  std::string storage(32, '\0');
  for (int i = 0; i < 8; ++i) {
    const auto value = static_cast<float>(i);
    storage.replace(4 * i, 4, reinterpret_cast<const char*>(&value), 4);
  }
  more.insert(more.begin(), {{"best/data.pkl", pickled}, {"best/data/0", storage}});
  const std::string path = absl::StrCat(testing::TempDir(), "/best.pth");
  std::ofstream(path, std::ios::binary) << Zip(more, {/*zip64=*/true, ""});
  return path;
}

absl::StatusOr<Checkpoint> Read(const std::vector<Entry>& entries) {
  return ReadCheckpoint(WriteArchive(Pickle(entries)));
}

// The names of what is read, each with its place; a note of the file's name would be a mistake.
std::set<std::string> Names(const absl::StatusOr<Checkpoint>& checkpoint) {
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  std::set<std::string> names;
  if (!checkpoint.ok()) return names;
  EXPECT_THAT(checkpoint->note, Not(HasSubstr("best.pth")));
  for (const auto& [name, tensor] : checkpoint->state) {
    names.insert(absl::StrCat(name, " ", tensor[0].item<int64_t>() / 2));
  }
  return names;
}

std::string Problem(const absl::StatusOr<Checkpoint>& checkpoint) {
  EXPECT_EQ(checkpoint.status().code(), absl::StatusCode::kInvalidArgument) << checkpoint.status();
  EXPECT_THAT(std::string(checkpoint.status().message()), HasSubstr("/best.pth"));
  return std::string(checkpoint.status().message());
}

const std::vector<Entry> kWeights = {Tensor("fc.weight", 0), Tensor("fc.bias", 1)};
const std::set<std::string> kNames = {"fc.weight 0", "fc.bias 1"};

TEST(PythonCheckpointTest, AStateDictIsReadWithoutANote) {
  const auto checkpoint = Read(kWeights);
  EXPECT_EQ(Names(checkpoint), kNames);
  EXPECT_EQ(checkpoint->note, "");
}

TEST(PythonCheckpointTest, TheOneDictOfTensorsIsReadWhateverItsName) {
  for (const char* key : {"model_state_dict", "model", "state_dict", "net", "weights of epoch 3"}) {
    SCOPED_TRACE(key);
    const auto checkpoint =
        Read({Number("epoch", 3), Optimizer("optimizer_state_dict"), Dict(key, kWeights),
              Tensor("loss", 2), Arguments("args"), Dict("scores", {Number("f1", 1)})});
    EXPECT_EQ(Names(checkpoint), kNames);
    EXPECT_EQ(checkpoint->note, absl::StrCat("the weights are its entry \"", key, "\""));
  }
}

TEST(PythonCheckpointTest, PrefixesOfWrappersAreLeftOut) {
  for (const std::string prefix :
       {"module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."}) {
    SCOPED_TRACE(prefix);
    const std::vector<Entry> wrapped = {Tensor(prefix + "fc.weight", 0),
                                        Tensor(prefix + "fc.bias", 1)};
    const std::string note =
        absl::StrCat("the names of the weights begin with \"", prefix, "\", which is left out");
    const auto bare = Read(wrapped);
    EXPECT_EQ(Names(bare), kNames);
    EXPECT_EQ(bare->note, note);
    const auto inside = Read({Number("epoch", 3), Dict("model", wrapped)});
    EXPECT_EQ(Names(inside), kNames);
    EXPECT_EQ(inside->note, absl::StrCat("the weights are its entry \"model\"; ", note));
  }
}

TEST(PythonCheckpointTest, APrefixOfSomeNamesIsAName) {
  const auto checkpoint = Read({Tensor("module.weight", 0), Tensor("bias", 1)});
  EXPECT_EQ(Names(checkpoint), std::set<std::string>({"module.weight 0", "bias 1"}));
  EXPECT_EQ(checkpoint->note, "");
}

TEST(PythonCheckpointTest, SeveralDictsOfTensorsAreRefusedAndNamed) {
  const std::string problem = Problem(Read(
      {Number("epoch", 3), Dict("model", kWeights), Dict("model_ema", {Tensor("fc.weight", 2)})}));
  EXPECT_THAT(problem, AllOf(HasSubstr("there are 2 dicts of tensors, \"model\", \"model_ema\""),
                             HasSubstr("torch.save(torch.load('"),
                             HasSubstr("/best.pth', map_location='cpu')"
                                       "['model'], 'weights.pth')\"")));
}

TEST(PythonCheckpointTest, AnEntryStateDictIsReadBesideOthers) {
  const auto checkpoint =
      Read({Dict("ema", {Tensor("fc.weight", 2)}), Dict("state_dict", kWeights)});
  EXPECT_EQ(Names(checkpoint), kNames);
  EXPECT_EQ(checkpoint->note, "the weights are its entry \"state_dict\", not \"ema\"");
}

TEST(PythonCheckpointTest, ADictWithoutTensorsIsDescribed) {
  EXPECT_THAT(Problem(Read({Number("epoch", 3), Dict("scores", {Number("f1", 1)})})),
              AllOf(HasSubstr("want a dict of tensors, found \"epoch\" (int 3), \"scores\" (dict"),
                    HasSubstr("torch.save(model.state_dict(), 'weights.pth')")));
  // A key cannot write to the terminal.
  EXPECT_THAT(Problem(Read({Number("\x1b[31m", 3)})), HasSubstr("\\x1b[31m"));
}

TEST(PythonCheckpointTest, NamesOfOurOwnFilesAreMeantAsTheyAre) {
  const std::string path = absl::StrCat(testing::TempDir(), "/ours.pth");
  ASSERT_TRUE(WriteCheckpoint(path, {{"module.weight", torch::ones({2})}}, {}).ok());
  const auto checkpoint = ReadCheckpoint(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->state.count("module.weight"), 1U);
  EXPECT_EQ(checkpoint->note, "");
}

TEST(PythonCheckpointTest, AWholeModelIsRefusedWithTheLineThatSavesItsWeights) {
  const std::string torch_load = "/best.pth', map_location='cpu', weights_only=False)";
  Writer writer;
  Object("", "torch.nn.modules.container", "Sequential").write(writer);
  EXPECT_THAT(Problem(ReadCheckpoint(WriteArchive(std::move(writer).Finish()))),
              AllOf(HasSubstr("torch.nn.modules.container.Sequential is not allowed"),
                    HasSubstr("this is a whole model, and only weights are read here"),
                    HasSubstr(torch_load + ".state_dict(), 'weights.pth')\""),
                    EndsWith("(this runs what the file says: only for a file that you trust)")));
  EXPECT_THAT(
      Problem(Read({Number("epoch", 3), Object("net", "torch.nn.modules.linear", "Linear")})),
      AllOf(HasSubstr(torch_load + "['KEY'].state_dict(), 'weights.pth')\""),
            HasSubstr("where KEY is the entry with the model")));
}

TEST(PythonCheckpointTest, AnObjectBesideTheWeightsIsRefusedWithTheLineThatSavesThem) {
  EXPECT_THAT(
      Problem(Read({Object("settings", "__main__", "Settings"), Dict("model", kWeights)})),
      AllOf(HasSubstr("__main__.Settings is not allowed"),
            HasSubstr("weights_only=False)['KEY'], 'weights.pth')\", where KEY is the entry "
                      "with the weights")));
}

TEST(PythonCheckpointTest, ACallInPlaceOfADictIsNotRecommended) {
  Writer writer;
  writer.Global("os", "system");
  writer.String("true");
  writer.Tuple(1);
  writer.Reduce();
  EXPECT_THAT(Problem(ReadCheckpoint(WriteArchive(std::move(writer).Finish()))),
              AllOf(HasSubstr("os.system is not allowed"), Not(HasSubstr("python3"))));
}

TEST(PythonCheckpointTest, TorchScriptIsNamed) {
  Writer writer;
  Object("", "__torch__", "Net").write(writer);
  const std::string path = WriteArchive(
      std::move(writer).Finish(), {{"best/constants.pkl", "\x80\x02)."}, {"best/code/a", ""}});
  EXPECT_THAT(Problem(ReadCheckpoint(path)),
              AllOf(HasSubstr("this is a TorchScript model"), HasSubstr("torch.jit.load('"),
                    HasSubstr("/best.pth', map_location='cpu').state_dict(), 'weights.pth')\"")));
}

// What ReadCheckpoint() says of a file with these bytes.
std::string ProblemOfBytes(const std::string& bytes, const std::string& name = "best.pth") {
  const std::string path = absl::StrCat(testing::TempDir(), "/", name);
  std::ofstream(path, std::ios::binary) << bytes;
  const absl::Status status = ReadCheckpoint(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

TEST(PythonCheckpointTest, TheFormatBeforePyTorch16IsNamed) {
  const std::string legacy = std::string("\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.", 15);
  EXPECT_THAT(ProblemOfBytes(legacy),
              AllOf(HasSubstr("this is the format of PyTorch before 1.6; save the weights anew"),
                    HasSubstr("torch.save(torch.load('"),
                    HasSubstr("/best.pth', map_location='cpu'), 'weights.pth')\""),
                    Not(HasSubstr("weights_only"))));
  EXPECT_THAT(ProblemOfBytes(legacy + "ctorch.nn.modules.linear\nLinear\n"),
              AllOf(HasSubstr("before 1.6, and a whole model"),
                    HasSubstr("weights_only=False).state_dict(), 'weights.pth')\"")));
  // A name that a shell or Python would take for something else is left to the user.
  EXPECT_THAT(ProblemOfBytes(legacy, "best'.pth"), HasSubstr("torch.load('FILE',"));
}

TEST(PythonCheckpointTest, PickleDumpAndSafetensorsAreNamed) {
  EXPECT_THAT(ProblemOfBytes("\x80\x04\x95...torch._utils\x94\x8c\x12_rebuild_tensor_v2\x94."),
              AllOf(HasSubstr("this is a file of pickle.dump()"), HasSubstr("pickle.load(open('")));
  std::string safetensors = "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
  safetensors = std::string(1, static_cast<char>(safetensors.size())) + std::string(7, '\0') +
                safetensors + "1234";
  EXPECT_THAT(ProblemOfBytes(safetensors),
              AllOf(HasSubstr("this is safetensors"), HasSubstr("load_file('")));
  // Neither is said of what only begins like them.
  EXPECT_THAT(ProblemOfBytes("\x80\x04N."), Not(HasSubstr("python3")));
  EXPECT_THAT(ProblemOfBytes("{\"a\": [1, 2, 3]}"), Not(HasSubstr("python3")));
}

}  // namespace
}  // namespace cmerc
