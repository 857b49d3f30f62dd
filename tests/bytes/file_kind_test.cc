#include "bytes/file_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/bytes/packed.h"
#include "tests/storage/zip.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

// A file of each kind; what only reads like a kind has a test of its own.
std::vector<std::pair<FileKind, std::string>> Kinds() {
  const std::string pickle("\x80\x04\x95\x02\0\0\0\0\0\0\0N.", 13);
  return {
      {FileKind::kEmpty, ""},
      {FileKind::kRecords,
       "\x89"
       "CMERC\r\n"},
      {FileKind::kPickle, pickle},
      {FileKind::kPickle, "\x80\x02}q\x01."},
      {FileKind::kJoblib, pickle + "\x8c\x13joblib.numpy_pickle"},
      {FileKind::kTextModePickle, "(dp0\r\nVa\r\np1\r\nI1\r\ns."},
      {FileKind::kTextModePickle, std::string("\x80\x02}q\x01(X\x01\0\0\0\r\nK\x01K\r\n.", 19)},
      {FileKind::kDecodedBinary, "\xEF\xBF\xBD\x04\xEF\xBF\xBD"},
      {FileKind::kTorchZip, Zip({{"archive/data.pkl", pickle}})},
      {FileKind::kTorchScript, Zip({{"m/data.pkl", pickle}, {"m/constants.pkl", pickle}})},
      {FileKind::kTorchLegacy, "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19\x2E"},
      {FileKind::kSafetensors, std::string("\x10\0\0\0\0\0\0\0{\"a\":", 13)},
      {FileKind::kNpy, Npy("<f4", "(1,)", "1234")},
      {FileKind::kObjectNpy, Npy("|O", "(9,)", pickle)},
      {FileKind::kNpz, Zip({{"a/b.npy", Npy("<f4", "(1,)", "1234")}})},
      {FileKind::kHdf5, "\x89HDF\r\n\x1A\n"},
      {FileKind::kHdf5, "MATLAB 7.3 MAT-file, Platform"},
      {FileKind::kMatlab, "MATLAB 5.0 MAT-file, Platform"},
      {FileKind::kParquet, "PAR1\x15"},
      {FileKind::kOffice, Zip({{"[Content_Types].xml", "<xml>"}})},
      {FileKind::kZip, Zip({{"features/a.pkl", pickle}})},
      {FileKind::kZip, Zip({})},
      {FileKind::kGzip, Gzip("text")},
      {FileKind::kZlib, Zlib("text")},
      {FileKind::kBzip2, "BZh91AY"},
      {FileKind::kXz, std::string("\xFD"
                                  "7zXZ\0\0",
                                  7)},
      {FileKind::kZstandard, "\x28\xB5\x2F\xFD\x04"},
      {FileKind::kArchive, "Rar!\x1A\x07\x01"},
      {FileKind::kArchive, std::string(257, 'x') + "ustar  "},
      {FileKind::kPdf, "%PDF-1.7"},
      {FileKind::kAppleDouble, std::string("\0\x05\x16\x07\0", 5)},
      {FileKind::kLfsPointer, "version https://git-lfs.github.com/spec/v1\noid sha256:12\n"},
      {FileKind::kWebPage, "\n<!DOCTYPE HTML><html>"},
      {FileKind::kWebPage, "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"},
      {FileKind::kUtf16, std::string("\xFF\xFE{\0", 4)},
      {FileKind::kUtf16, std::string("{\0\"\0i\0d\0", 8)},
      {FileKind::kUtf16, std::string("\0{\0\"\0i\0d", 8)},
      {FileKind::kJson, "\xEF\xBB\xBF{\"id\": 1}"},
      {FileKind::kJsonList, " [{\"id\": 1}]"},
      {FileKind::kMeldCsv,
       "Sr No.,Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\n1,a,b,c,0,0\n"},
      {FileKind::kCsv, "id;text\n1;a\n"},
      {FileKind::kUnknown, "data { dataset { } }\n"},
      {FileKind::kUnknown, "(S'abc'\np0\n."},
      {FileKind::kUnknown, "\x01\x02\x03"},
  };
}

TEST(FileKindTest, TellsKindsApart) {
  for (const auto& [kind, content] : Kinds()) {
    EXPECT_EQ(static_cast<int>(FileKindOf(content)), static_cast<int>(kind))
        << FileKindName(kind) << ": " << FileKindName(FileKindOf(content));
  }
}

// Whoever reads a message learns what the file is and what to do next, and never to do what leads
// to the same message again.
TEST(FileKindTest, EveryMessageSaysWhatToDo) {
  for (const FileUse use : {FileUse::kPickle, FileUse::kConversations, FileUse::kCheckpoint,
                            FileUse::kArrays, FileUse::kUtterances}) {
    for (const auto& [kind, content] : Kinds()) {
      const std::string message = WrongFileKind(content, use, "dir/file");
      if (message.empty()) continue;
      const std::string name(FileKindName(kind));
      EXPECT_THAT(message, HasSubstr(absl::StrCat("is ", name, ", want ")));
      const std::string advice = message.substr(message.find("; ") + 2);
      EXPECT_GT(advice.size(), 20u) << message;
      // What is told to write is what is wanted.
      if (absl::StrContains(advice, "pickle.dump(")) {
        EXPECT_TRUE(use == FileUse::kPickle) << message;
      }
      if (absl::StrContains(advice, "torch.save(")) {
        EXPECT_TRUE(use == FileUse::kCheckpoint) << message;
      }
      if (absl::StrContains(advice, "numpy.savez(")) {
        EXPECT_TRUE(use == FileUse::kArrays) << message;
      }
    }
  }
}

TEST(FileKindTest, WhatFitsIsNotWrong) {
  for (const auto& [use, kind] : {std::pair(FileUse::kPickle, FileKind::kPickle),
                                  {FileUse::kConversations, FileKind::kJson},
                                  {FileUse::kConversations, FileKind::kRecords},
                                  {FileUse::kCheckpoint, FileKind::kTorchZip},
                                  {FileUse::kCheckpoint, FileKind::kTorchLegacy},
                                  {FileUse::kArrays, FileKind::kNpz},
                                  {FileUse::kArrays, FileKind::kPickle},
                                  {FileUse::kUtterances, FileKind::kMeldCsv},
                                  {FileUse::kUtterances, FileKind::kCsv}}) {
    for (const auto& [other, content] : Kinds()) {
      if (other != kind) continue;
      EXPECT_EQ(WrongFileKind(content, use, "f"), "") << FileKindName(kind);
    }
  }
}

TEST(FileKindTest, LinesOfPythonNameTheFile) {
  EXPECT_EQ(FileKindAdvice(FileKind::kJoblib, FileUse::kPickle, "a\"b.pkl"),
            "in Python: import joblib, pickle; pickle.dump(joblib.load(\"a\\\"b.pkl\"), "
            "open(\"converted.pkl\", \"wb\"))");
  EXPECT_EQ(FileKindAdvice(FileKind::kNpz, FileUse::kCheckpoint, "w.npz"),
            "in Python: import numpy, torch; torch.save({k: torch.as_tensor(v) for k, v in "
            "dict(numpy.load(\"w.npz\")).items()}, \"converted.pth\")");
}

}  // namespace
}  // namespace cmerc
