#include "tests/bin/bad_kind_cases.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/bin/bad_arguments.h"
#include "tests/bin/files.h"
#include "tests/bin/tiny_files.h"
#include "tests/bytes/packed.h"
#include "tests/storage/zip.h"

namespace cmerc {
namespace {

Args Describe(const std::string& file) {
  return {"data", "describe", absl::StrCat("--input=", file)};
}

void AddAsPickle(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"JoblibAsDataFile",
       TrainPickle("joblib.pkl"),
       {"roberta_file: joblib.pkl: is a file of joblib.dump(), want a Python pickle; in Python: "
        "import joblib, pickle; pickle.dump(joblib.load(\"joblib.pkl\"), open(\"converted.pkl\", "
        "\"wb\"))"}},
      {"CompressedJoblibAsDataFile",
       TrainPickle("joblib.zlib"),
       {"joblib.zlib: is a zlib file, and what it holds is a file of joblib.dump()"}},
      {"TorchFileAsDataFile",
       TrainPickle("torch.pkl"),
       {"torch.pkl: is a file of torch.save(), want a Python pickle; in Python: import torch, "
        "pickle; pickle.dump(torch.load("}},
      {"NpzAsDataFile",
       TrainPickle("arrays.npz"),
       {"arrays.npz: is an .npz of NumPy arrays, want a Python pickle",
        "docs/your_own_data.md, \"I have a file from ...\""}},
      {"ObjectsOfNumpySaveAsDataFile",
       TrainPickle("objects.npy"),
       {"objects.npy: is Python objects in a file of numpy.save(), want a Python pickle; in "
        "Python: "
        "import numpy, pickle; pickle.dump(numpy.load(\"objects.npy\", "
        "allow_pickle=True).tolist(), "}},
      {"WebPageAsDataFile",
       TrainPickle("page.pkl"),
       {"page.pkl: is a web page, want a Python pickle", "download the file itself"}},
      {"LfsPointerAsDataFile",
       TrainPickle("pointer.pkl"),
       {"pointer.pkl: is a pointer of git-lfs, not the file itself", "run `git lfs pull`"}},
      {"PickleCopiedInTextMode",
       TrainPickle("text_mode.pkl"),
       {"text_mode.pkl: is a Python pickle that was copied in text mode, with CR LF for every LF",
        "copy it again in binary mode"}},
      {"PickleInAZip",
       TrainPickle("zipped.zip"),
       {"zipped.zip: is a zip archive, want a Python pickle; unpack it and name the file in it"}},
      {"CsvAsDataFile",
       TrainPickle("meld.csv"),
       {"meld.csv: is a CSV file with the columns of MELD, want a Python pickle",
        "no features: docs/your_own_data.md"}},
      {"TruncatedGzipAsDataFile",
       TrainPickle("cut.pkl.gz"),
       {"cut.pkl.gz: is compressed and cut short; copy or download it again"}},
      {"GzipBombAsDataFile",
       TrainPickle("bomb.pkl.gz"),
       {"bomb.pkl.gz: opens to more than ", "64 times its own size and 16 MiB", "unpack it first"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

void AddAsConversations(std::vector<BadInput>* cases) {
  const std::vector<BadInput> more = {
      {"DescribeMeldCsv",
       Describe("meld.csv"),
       {"meld.csv: is a CSV file with the columns of MELD, want JSON Lines, a record file or an "
        ".npz of `cmerc data convert`",
        "it has speakers, labels and sentences but no features"}},
      {"DescribeUtf16",
       Describe("wide.jsonl"),
       {"wide.jsonl: is text in UTF-16, want JSON Lines", "save it as UTF-8"}},
      {"DescribeWindows1252",
       Describe("windows.jsonl"),
       {"windows.jsonl, line 1: ",
        "want UTF-8; it reads as Windows-1252 (\"It\u2019s\"): save the file as UTF-8, with iconv "
        "-f WINDOWS-1252 -t UTF-8"}},
      {"DescribeConfigAsAFile",
       {"data", "describe", "tiny.textproto"},
       {"tiny.textproto is a config; its data are described by `cmerc data describe "
        "--config=tiny.textproto`"}},
      {"DescribeFolderOfARun",
       {"data", "describe", "run"},
       {"run: is a folder without .npy files, want one of files called ID.npy"}},
      {"DescribeListOfOtherThings",
       Describe("utterances.json"),
       {"utterances.json: is one JSON list of something else than conversations, want a "
        "conversation a line: {\"id\": ",
        "docs/your_own_data.md shows the form"}},
      {"DescribeObjectOfSplits",
       Describe("splits.json"),
       {"splits.json, line 1: train is no field of a conversation; write the conversations of a "
        "split a line each"}},
      {"DescribeAnUtteranceALine",
       Describe("flat.jsonl"),
       {"flat.jsonl, line 1: Dialogue_ID is no field of a conversation; put all utterances of a "
        "conversation into its line"}},
      {"DescribeNpzOfArraysById",
       Describe("arrays.npz"),
       {"arrays.npz: has no array \"lengths\", want integers [conversations]",
        "of the form that `cmerc data convert` writes"}},
      {"DescribePickleThatIsCompressed",
       Describe("good.pkl.gz"),
       {"good.pkl.gz: is compressed, and what it holds is a Python pickle, want JSON Lines",
        "cmerc.OfficialPicklesOptions"}},
      {"DescribeTruncatedGzip",
       Describe("cut.jsonl.gz"),
       {"cut.jsonl.gz: is compressed and cut short; copy or download it again"}},
      {"SummaryAsCheckpoint",
       {"evaluate", "--checkpoint=run/summary.json"},
       {"run/summary.json: is JSON, want a checkpoint of `cmerc train` or of torch.save(); name "
        "DIR/selected.pth of a run"}},
      {"NpzAsCheckpoint",
       {"evaluate", "--checkpoint=arrays.npz"},
       {"arrays.npz: is an .npz of NumPy arrays, want a checkpoint", "torch.save({k: "}},
      {"WebPageAsCheckpoint",
       {"evaluate", "--checkpoint=page.pkl"},
       {"page.pkl: is a web page, want a checkpoint of `cmerc train` or of torch.save()"}},
      {"GzipAsCheckpoint",
       {"evaluate", "--checkpoint=good.pkl.gz"},
       {"good.pkl.gz: is a gzip file, want a checkpoint", "gunzip"}},
  };
  cases->insert(cases->end(), more.begin(), more.end());
}

}  // namespace

void AddKinds(std::vector<BadInput>* cases) {
  AddAsPickle(cases);
  AddAsConversations(cases);
}

void WriteKinds(const std::string& folder) {
  const auto write = [&](const std::string& name, const std::string& contents) {
    WriteFile(absl::StrCat(folder, "/", name), contents);
  };
  const std::string good = PickleOf(TinyCorpus());
  // What joblib writes where an array is to follow.
  const std::string joblib = std::string("\x80\x04\x95\x30\0\0\0\0\0\0\0", 11) +
                             "\x8c\x13joblib.numpy_pickle\x94\x8c\x11NumpyArrayWrapper\x94\x93.";
  write("joblib.pkl", joblib);
  write("joblib.zlib", Zlib(joblib));
  write("torch.pkl", Zip({{"archive/data.pkl", good}}));
  write("zipped.zip", Zip({{"features/good.pkl", good}}));
  write("arrays.npz", Zip({{"Ses0.npy", Npy("<f4", "(1,)", "1234")}}));
  write("objects.npy", Npy("|O", "(9,)", good));
  write("page.pkl", "<!DOCTYPE html><html><title>Virus scan warning</title></html>");
  write("pointer.pkl", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
  write("text_mode.pkl", "(dp0\r\nVSes0\r\np1\r\nI1\r\ns.");
  write("meld.csv",
        "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n"
        "1,So?,Ann,neutral,neutral,0,0\n");
  write("good.pkl.gz", Gzip(good));
  write("cut.pkl.gz", Gzip(good).substr(0, 60));
  write("bomb.pkl.gz", Gzip(std::string(20 << 20, '\0')));
  const std::string line = "{\"id\": \"a\"}\n";
  write("wide.jsonl", "\xFF\xFE" + absl::StrReplaceAll(line, {{"i", std::string("i\0", 2)}}));
  write("windows.jsonl", "{\"id\": \"a\", \"utterances\": [{\"text\": \"It\x92s\"}]}\n");
  write("utterances.json", "[[{\"text\": \"So?\", \"speaker\": \"Ann\", \"cls\": [0.5]}]]");
  write("splits.json", "{\"train\": [{\"id\": \"a\"}]}");
  write("flat.jsonl", "{\"Dialogue_ID\": 0, \"Utterance_ID\": 0, \"Speaker\": \"Ann\"}\n");
  // Blank lines are read over, up to where it ends.
  const std::string blanks = Gzip(std::string(1000, '\n'));
  write("cut.jsonl.gz", blanks.substr(0, blanks.size() - 6));
}

}  // namespace cmerc
