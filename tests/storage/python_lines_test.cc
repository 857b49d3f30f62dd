// The lines of Python that messages advise: Python can read each of them, and those whose modules
// are on this machine do what they are for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "bytes/file_kind.h"
#include "datasets/formats/conversation_file.h"
#include "storage/pickle/pickle.h"
#include "storage/python_files.h"

namespace cmerc {
namespace {

constexpr FileUse kUses[] = {FileUse::kPickle, FileUse::kConversations, FileUse::kCheckpoint,
                             FileUse::kArrays, FileUse::kUtterances};

// A new folder of this test, in which Python runs.
std::string NewFolder(const std::string& name) {
  const std::string folder = absl::StrCat(testing::TempDir(), "/python_lines_", name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

// Whether Python runs `code` in a folder, to the end.
bool Runs(const std::string& folder, const std::string& code, bool quiet = false) {
  std::ofstream(folder + "/line.py") << code << "\n";
  return std::system(
             absl::StrCat("cd '", folder, "' && python3 line.py", quiet ? " > /dev/null 2>&1" : "")
                 .c_str()) == 0;
}

bool HasModules(const std::string& folder, const std::string& modules) {
  return Runs(folder, modules.empty() ? "" : "import " + modules, /*quiet=*/true);
}

// What follows `begin` in a message, up to `end`; "" where it is not there.
std::string Between(absl::string_view message, absl::string_view begin, absl::string_view end) {
  const size_t at = message.find(begin);
  if (at == absl::string_view::npos) return "";
  message.remove_prefix(at + begin.size());
  return std::string(message.substr(0, end.empty() ? message.size() : message.find(end)));
}

std::string LineOf(absl::string_view message) { return Between(message, "in Python: ", ""); }
std::string CommandOf(absl::string_view message) { return Between(message, "python3 -c \"", "\""); }

// A list of conversations in one JSON.
std::string ListLine(const std::string& folder) {
  const std::string path = folder + "/list.json";
  std::ofstream(path) << "[{\"id\": \"a\", \"utterances\": []}, {\"id\": \"b\"}]";
  return absl::StrReplaceAll(LineOf(ConversationFile::Open(path).status().message()),
                             {{path, "list.json"}});
}

std::vector<std::string> AllLines(const std::string& folder) {
  std::vector<std::string> lines = {ListLine(folder)};
  for (int kind = 0; kind <= static_cast<int>(FileKind::kCsv); ++kind) {
    for (const FileUse use : kUses) {
      const std::string line =
          LineOf(FileKindAdvice(static_cast<FileKind>(kind), use, "it's \"a\" file.pkl"));
      if (!line.empty()) lines.push_back(line);
    }
  }
  const std::string legacy("\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.", 15);
  const std::string safetensors = std::string("\x02\0\0\0\0\0\0\0{\"", 10) + "}";
  for (const std::string& bytes :
       {legacy, legacy + "torch.nn.modules", std::string("\x80\x04_rebuild_tensor"), safetensors}) {
    lines.push_back(CommandOf(DescribeOtherFormat(bytes, "w.pth")));
  }
  lines.push_back(CommandOf(DescribeTorchScript("w.pth")));
  lines.push_back(CommandOf(DescribeOtherObjects("torch.nn.modules", "w.pth")));
  for (const char* expression : {"LOAD", "LOAD['KEY']", "LOAD['KEY'].state_dict()"}) {
    lines.push_back(CommandOf(SaveInPython(expression, "w.pth")));
  }
  for (const char* name :
       {"torch\nTensor", "numpy.ma.core\nMaskedArray", "scipy.sparse\ncsr_matrix", "cupy\nndarray",
        "pyarrow\nTable", "pandas\nTimestamp", "pandas\nDataFrame", "decimal\nDecimal",
        "datetime\ndate", "collections\nCounter", "features\nLazy"}) {
    const auto document = pickle::Document::Parse(absl::StrCat("c", name, "\n(tR."), "f");
    EXPECT_TRUE(document.ok()) << document.status();
    if (!document.ok()) continue;
    const std::string line = Between(HowToConvert((*document)->root()), "in Python, ", ", and ");
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

TEST(PythonLinesTest, AreSentencesOfPython) {
  const std::string folder = NewFolder("syntax");
  if (!HasModules(folder, "")) GTEST_SKIP() << "there is no python3";
  const std::vector<std::string> lines = AllLines(folder);
  EXPECT_GT(lines.size(), 40U);
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_THAT(lines[i], testing::Not(testing::AnyOf("", "x = ")));
    std::ofstream(absl::StrCat(folder, "/", i, ".txt")) << lines[i];
  }
  // An error names the line.
  EXPECT_TRUE(Runs(folder, absl::StrCat("import ast\nfor i in range(", lines.size(),
                                        "): ast.parse(open(f'{i}.txt').read())")));
}

struct RunCase {
  FileKind kind;
  FileUse use;
  const char* modules;  // that must be there
  const char* make;     // writes the file "in"
  const char* check;    // of what the line wrote
};

const RunCase kRunCases[] = {
    {FileKind::kUtf16, FileUse::kConversations, "",
     "open('in', 'w', encoding='utf-16').write('caf\\u00e9')",
     "assert open('converted', 'rb').read() == b'caf\\xc3\\xa9'"},
    {FileKind::kTextModePickle, FileUse::kPickle, "",
     "import pickle; open('in', 'wb').write(pickle.dumps({'a': 1}, 0).replace(b'\\n', b'\\r\\n'))",
     "import pickle; assert pickle.load(open('converted.pkl', 'rb')) == {'a': 1}"},
    {FileKind::kZlib, FileUse::kPickle, "",
     "import zlib; open('in', 'wb').write(zlib.compress(b'text'))",
     "assert open('converted', 'rb').read() == b'text'"},
    {FileKind::kPickle, FileUse::kArrays, "numpy",
     "import pickle; pickle.dump({'a': [[1, 2]], 3: [[4, 5]]}, open('in', 'wb'))",
     "import numpy; assert numpy.load('converted.npz')['3'].tolist() == [[4, 5]]"},
    {FileKind::kObjectNpy, FileUse::kPickle, "numpy",
     "import numpy; numpy.save(open('in', 'wb'), {'a': 1})",
     "import pickle; assert pickle.load(open('converted.pkl', 'rb')) == {'a': 1}"},
    {FileKind::kNpy, FileUse::kArrays, "numpy",
     "import numpy; numpy.save(open('in', 'wb'), numpy.ones((2, 3)))",
     "import numpy; assert len(numpy.load('converted.npz').files) == 1"},
    {FileKind::kJoblib, FileUse::kPickle, "joblib, numpy",
     "import joblib, numpy; joblib.dump({'a': numpy.ones(3)}, 'in')",
     "import pickle; assert pickle.load(open('converted.pkl', 'rb'))['a'].sum() == 3"},
    {FileKind::kHdf5, FileUse::kArrays, "h5py, numpy",
     "import h5py\nwith h5py.File('in', 'w') as f: f['a'] = [[1.5]]",
     "import numpy; assert numpy.load('converted.npz')['a'].tolist() == [[1.5]]"},
    {FileKind::kMatlab, FileUse::kArrays, "scipy.io, numpy",
     "import scipy.io; scipy.io.savemat(open('in', 'wb'), {'a': [[1.5]]})",
     "import numpy; f = numpy.load('converted.npz'); assert f.files == ['a'], f.files"},
    {FileKind::kParquet, FileUse::kPickle, "pandas, pyarrow",
     "import pandas; pandas.DataFrame({'a': [1, 2]}).to_parquet('in')",
     "import pickle; assert pickle.load(open('converted.pkl', 'rb')) == {'a': [1, 2]}"},
    {FileKind::kSafetensors, FileUse::kPickle, "safetensors.numpy, numpy",
     "import numpy, safetensors.numpy as s; s.save_file({'a': numpy.ones(3)}, 'in')",
     "import pickle; assert pickle.load(open('converted.pkl', 'rb'))['a'].sum() == 3"},
    {FileKind::kNpz, FileUse::kCheckpoint, "torch, numpy",
     "import numpy; numpy.savez(open('in', 'wb'), a=numpy.ones(3))",
     "import torch; assert torch.load('converted.pth')['a'].sum() == 3"},
    {FileKind::kTorchZip, FileUse::kPickle, "torch, numpy",
     "import torch; torch.save({'a': torch.ones(3)}, 'in')",
     "import pickle; assert pickle.load(open('converted.pkl', 'rb'))['a'].sum() == 3"},
};

TEST(PythonLinesTest, DoWhatTheyAreFor) {
  const std::string folder = NewFolder("run");
  if (!HasModules(folder, "")) GTEST_SKIP() << "there is no python3";
  std::string skipped;
  for (const RunCase& one : kRunCases) {
    const std::string line = LineOf(FileKindAdvice(one.kind, one.use, "in"));
    SCOPED_TRACE(line);
    if (!HasModules(folder, one.modules)) {
      absl::StrAppend(&skipped, skipped.empty() ? "" : "; ", one.modules);
      continue;
    }
    ASSERT_TRUE(Runs(folder, one.make));
    // In a line that fills in an id, there is one.
    EXPECT_TRUE(Runs(folder, absl::StrCat("id = 'a'; ", line)));
    EXPECT_TRUE(Runs(folder, one.check));
  }
  EXPECT_TRUE(Runs(folder, ListLine(folder)));
  EXPECT_TRUE(Runs(folder,
                   "import json; assert [json.loads(c)['id'] for c in open('converted.jsonl')] == "
                   "['a', 'b']"));
  RecordProperty("without_their_modules", skipped);
}

}  // namespace
}  // namespace cmerc
