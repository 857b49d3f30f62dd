// Files that are made to harm: they must fail, quickly and in little memory.
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/pickle/pickle.h"

namespace cmerc::pickle {
namespace {

using std::string_literals::operator""s;

absl::Status StatusOf(std::string bytes) {
  return Document::Parse(std::move(bytes), "evil.pkl").status();
}

void ExpectError(std::string bytes, absl::string_view part) {
  const absl::Status status = StatusOf(std::move(bytes));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << part;
  EXPECT_TRUE(absl::StartsWith(status.message(), "evil.pkl: byte ")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

constexpr absl::string_view kOsSystem = "global os.system is not allowed: the file may be hostile";

TEST(Hostile, GlobalIsNamedWithFileAndByte) {
  const absl::Status status = StatusOf("\x80\2cos\nsystem\n(U\2lst\x85R."s);
  EXPECT_EQ(status.message(),
            "evil.pkl: byte 2: global os.system is not allowed: the file may be hostile; expected "
            "only NumPy arrays, scalars and dtypes, sets, bytes, OrderedDict and defaultdict");
}

TEST(Hostile, EveryWayToNameAGlobal) {
  ExpectError("cos\nsystem\n.", kOsSystem);
  ExpectError("\x80\4\x8c\2os\x8c\6system\x93."s, kOsSystem);
  ExpectError("(U\2lsios\nsystem\n.", kOsSystem);
  ExpectError("(cos\nsystem\nU\2lso.", kOsSystem);
  ExpectError("cos\nsystem\n)\x81.", kOsSystem);
  ExpectError("cos\nsystem\n)}\x92.", kOsSystem);
  ExpectError("\x82\1.", "copyreg extension code");
  ExpectError("\x83\1\1.", "copyreg extension code");
  ExpectError("\x84\1\1\1\1.", "copyreg extension code");
  // The name is escaped: a terminal must not be written to.
  ExpectError("cos\nsys\x1b[2J\n.", "os.sys\\x1b[2J");
}

TEST(Hostile, NothingIsExecuted) {
  ExpectError(
      "cbuiltins\neval\n(U\1"
      "1tR.",
      "builtins.eval is not allowed");
  ExpectError("c__builtin__\ngetattr\n(tR.", "builtins.getattr is not allowed");
  ExpectError("cbuiltins\nlist\n)R.", "a call of builtins.list with these arguments");
  ExpectError("cnumpy\nndarray\n(K\1tR.", "a call of numpy.ndarray");
  ExpectError("K\1)R.", "a int is called");
  ExpectError("cnumpy\nload\n.", "numpy.load is not allowed");
  ExpectError("c_codecs\ndecode\n.", "_codecs.decode is not allowed");
  ExpectError("c_codecs\nencode\n(U\1aU\3rottR.", "a call of _codecs.encode");
  ExpectError("K\1Q.", "persistent id is not allowed");
  ExpectError("P1\n.", "persistent id is not allowed");
  ExpectError("]}b.", "the state of a list is not supported");
}

TEST(Hostile, WhatRunsLoadsOrOpensSomething) {
  for (const absl::string_view name : {"os\nsystem",
                                       "posix\nsystem",
                                       "nt\nsystem",
                                       "subprocess\nPopen",
                                       "builtins\neval",
                                       "__builtin__\nexec",
                                       "builtins\n__import__",
                                       "builtins\nopen",
                                       "sys\nexit",
                                       "shutil\nrmtree",
                                       "importlib\nimport_module",
                                       "runpy\nrun_path",
                                       "pickle\nloads",
                                       "marshal\nloads",
                                       "types\nCodeType",
                                       "torch\nload",
                                       "pandas.io.pickle\nread_pickle",
                                       "socket\ncreate_connection",
                                       "webbrowser\nopen",
                                       "ctypes\nCDLL",
                                       "logging\nos.system",
                                       "numpy\ntesting.os.popen",
                                       "numpy\n__builtins__",
                                       "m\nC.__class__.__base__",
                                       "pandas.core.computation.eval\neval"}) {
    const std::string program = absl::StrCat("c", name, "\n.");
    ExpectError(program, "is not allowed: the file may be hostile");
    ExpectError(absl::StrCat("}U\1a", program.substr(0, program.size() - 1), "(S'x'\ntRs."),
                "is not allowed: the file may be hostile");
  }
  ExpectError("cbuiltins\ngetattr\n(cm\nC\nS'__init__'\ntR.", "builtins.getattr is not allowed");
  ExpectError("cbuiltins\ngetattr\n(NS'a'\ntR.", "builtins.getattr is not allowed");
  ExpectError("cnumpy\r\nndarray\r\n.", "as by a copy in text mode; copy it again in binary mode");
  ExpectError("cm\nC(\n.", "'m.C(' is no name of a global: the file is damaged");
  ExpectError("c" + std::string(2000, 'm') + "\nC\n.", "a global's name of more than 1024 bytes");
}

// Objects of unknown classes cost what others do.
TEST(Hostile, UnknownObjectsAreBounded) {
  // Each of ten thousand modules with each of ten thousand names.
  std::string bytes;
  for (int i = 0; i < 100; ++i) {
    bytes +=
        "U\xff" + std::string(252, 'm') + absl::StrCat(100 + i) + "q" + static_cast<char>(i) + "0";
  }
  bytes += "(";
  for (int i = 0; i < 100; ++i) {
    for (int j = 0; j < 100; ++j) {
      bytes += "h"s + static_cast<char>(i) + "h"s + static_cast<char>(j) + "\x93";
    }
  }
  ExpectError(bytes + "l.", "the objects need more than 64 bytes per byte of the file");
  // Calls of calls.
  std::string deep = "cm\nf\n";
  for (int i = 0; i < 1'000'000; ++i) deep += ")R";
  EXPECT_TRUE(StatusOf(deep + ".").ok());
  // Keys that change what they are after they have become keys.
  std::string keys = "}(";
  for (int i = 0; i < 100'000; ++i) keys += "cm\nC\n)\x81N";
  EXPECT_TRUE(StatusOf(keys + "u.").ok());
}

TEST(Hostile, RangesAndViewsAreBounded) {
  // A range that a small file cannot pay for stays a range; so do many that are small.
  std::string ranges =
      "cbuiltins\nrange\nq\1"
      "0(";
  for (int i = 0; i < 10'000; ++i) ranges += "h\1(K\0J\xa0\x86\1\0K\1tR"s;
  const auto document = Document::Parse(ranges + "l.", "ranges.pkl");
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ((*document)->root().items()[0]->kind(), Kind::kArray);
  EXPECT_EQ((*document)->root().items()[9'999]->kind(), Kind::kObject);
  EXPECT_LE((*document)->memory_used(), 64 * ranges.size() + (2 << 20));
}

TEST(Hostile, AStorageLoadedOverAndOver) {
  // A long program in the place of the third of a storage's pickles.
  const std::string storage =
      "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3." +
      std::string(100'000, '(') + ".";
  std::string bytes =
      "ctorch.storage\n_load_from_bytes\nq\1"
      "0B"s;
  const auto size = static_cast<uint32_t>(storage.size());
  bytes.append(reinterpret_cast<const char*>(&size), sizeof(size));
  bytes += storage +
           "\x85q\2"
           "0";
  for (int i = 0; i < 10'000; ++i) bytes += "h\1h\2R0";
  ExpectError(bytes + "N.", "the same objects are used over and over");
}

TEST(Hostile, LengthsBeyondTheFile) {
  for (const std::string& opcode :
       {"T\xff\xff\xff\x7f"s, "X\xff\xff\xff\xff"s, "B\xff\xff\xff\xff"s, "U\xff"s, "C\xff"s,
        "\x8c\xff"s, "\x8d\xff\xff\xff\xff\xff\xff\xff\xff"s, "\x8e\0\0\0\0\0\0\0\x80"s,
        "\x96\xff\xff\xff\xff\xff\xff\xff\x7f"s, "\x8a\xff"s, "\x8b\xff\xff\xff\x7f"s,
        "\x95\xff\xff\xff\xff\xff\xff\xff\xff"s}) {
    ExpectError(opcode + "ab.", "the file is truncated");
  }
  ExpectError("T\xff\xff\xff\xff.", "a str of -1 bytes");
  ExpectError("\x8b\xff\xff\xff\xff.", "an int of -1 bytes");
  ExpectError("S'a'.", "expected a line of text");
}

TEST(Hostile, StackAndMemoMisuse) {
  for (const absl::string_view program :
       {".",      "0.",    "2.",     "(.",   "(2.",   "a.",    "]a.",   "e.",    "(e.",
        "s.",     "}s.",   "}K\1s.", "u.",   "(u.",   "t.",    "\x85.", "\x87.", "(K\1\x86.",
        "l.",     "d.",    "R.",     "b.",   "\x81.", "\x92.", "o.",    "(o.",   "\x90.",
        "(\x90.", "\x91.", "1.",     "q\1.", "\x94.", "\x93.", "Q."}) {
    EXPECT_FALSE(StatusOf(std::string(program)).ok()) << program;
  }
  ExpectError("h\1.", "memo 1 is read before it is written");
  ExpectError("j\xff\xff\xff\xff.", "memo 4294967295 is read before it is written");
  ExpectError("Np-1\n.", "expected a memo index");
  ExpectError("Np99999999999999999999\n.", "expected a memo index");
  ExpectError("K\1(K\2e.", "not to a list");
  ExpectError("](K\1K\2u.", "not in a dict");
  ExpectError("}(K\1u.", "a dict item without value");
}

TEST(Hostile, BadOperands) {
  ExpectError("\x80\6N.", "pickle protocol 6 is not supported");
  ExpectError("\xff.", "0xff is no opcode");
  ExpectError("<html>", "0x3c is no opcode");
  ExpectError("I1x\n.", "expected an int of 64 bits, got '1x'");
  ExpectError("L9999999999999999999xL\n.", "expected an int of at most 1000 digits");
  ExpectError("L" + std::string(1001, '9') + "L\n.", "expected an int of at most 1000 digits");
  ExpectError("F1.2.3\n.", "expected a float");
  ExpectError("Sabc\n.", "without proper quotes");
  ExpectError("V\\u12\n.", "malformed \\u escape");
  ExpectError("X\2\0\0\0\xc3\x28."s, "not UTF-8");
  ExpectError("X\2\0\0\0\xc0\x80."s, "not UTF-8");
  ExpectError("}]K\1s.", "a list as dict key or set member");
  ExpectError("\x97.", "a buffer outside the file");
}

TEST(Hostile, TenMillionNested) {
  constexpr size_t kDeep = 10'000'000;
  ExpectError(std::string(kDeep, '('), "truncated");
  ExpectError(std::string(kDeep, ']'), "truncated");
  ExpectError("N" + std::string(kDeep / 10, '2'), "truncated");
  // A list in a list in a list ... is a sound pickle.
  const auto document =
      Document::Parse(std::string(kDeep, ']') + std::string(kDeep - 1, 'a') + ".", "deep.pkl");
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ((*document)->root().items().size(), 1);
  const auto tuples = Document::Parse(")" + std::string(kDeep / 10, '\x85') + ".", "deep.pkl");
  ASSERT_TRUE(tuples.ok()) << tuples.status();
}

TEST(Hostile, DoublingStaysADag) {
  // Each level is a tuple of two references to the level below: 2^200 leaves in 400 bytes.
  std::string bytes = "]";
  for (int level = 0; level < 200; ++level) bytes += "2\x86";
  const auto document = Document::Parse(bytes + ".", "dag.pkl");
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_LT((*document)->memory_used(), 64 << 10);
  // ... nor can they be hashed.
  ExpectError("}" + bytes + "Ns.", "a tuple as dict key or set member");
}

TEST(Hostile, CopiesOfOneListAreBounded) {
  std::string bytes = "](";
  for (int i = 0; i < 10000; ++i) bytes += absl::StrCat("I", i, "\n");
  bytes +=
      "eq\1"
      "0cbuiltins\nset\nq\2(";
  for (int i = 0; i < 100000; ++i) bytes += "h\2h\1\x85R";
  ExpectError(bytes + "l.", "the objects need more than 64 bytes per byte of the file");
}

// Work that a few bytes ask for again and again over the same objects would take hours.
TEST(Hostile, ObjectsUsedOverAndOver) {
  constexpr absl::string_view kOver = "the same objects are used over and over";
  // A list of a million times None, made into a set of one a hundred thousand times.
  std::string bytes = "](" + std::string(1'000'000, 'N') +
                      "eq\1"
                      "0cbuiltins\nset\nq\2(";
  for (int i = 0; i < 100'000; ++i) bytes += "h\2h\1\x85R0";
  ExpectError(bytes + "l.", kOver);
  // A dtype of a megabyte of text.
  bytes = "U\2i4q\0"s + "0X" + std::string("\x40\x42\x0f\0", 4) + "i" + std::string(999'998, '0') +
          "4q\1"
          "0cnumpy\ndtype\nq\2";
  for (int i = 0; i < 100'000; ++i) bytes += "h\2h\1\x85R0";
  ExpectError(bytes + "N.", kOver);
  // A long key of ever new dicts.
  bytes = "X" + std::string("\0\0\1\0", 4) + std::string(65536, 'k') +
          "q\1"
          "0";
  for (int i = 0; i < 100'000; ++i) bytes += "}h\1Ns0";
  ExpectError(bytes + "N.", kOver);
}

TEST(Hostile, NanIsNoKey) {
  ExpectError("}G\x7f\xf8\0\0\0\0\0\0Ns."s, "NaN as dict key or set member");
  EXPECT_TRUE(StatusOf("}G\x7f\xf0\0\0\0\0\0\0Ns."s).ok());
}

TEST(Hostile, AListThatRepeatsALongText) {
  std::string bytes = "X" + std::string("\0\0\x10\0", 4) + std::string(1 << 20, 'x') +
                      "q\1"
                      "0](";
  for (int i = 0; i < 100; ++i) bytes += "h\1";
  const auto few = Document::Parse(bytes.substr(0, bytes.size() - 120) + "e.", "few.pkl");
  ASSERT_TRUE(few.ok()) << few.status();
  EXPECT_EQ((*few)->Texts((*few)->root())->size(), 40);
  const auto many = Document::Parse(bytes + "e.", "many.pkl");
  ASSERT_TRUE(many.ok()) << many.status();
  const absl::Status status = (*many)->Texts((*many)->root()).status();
  EXPECT_EQ(status.message(),
            "many.pkl: byte 1048584: more text than a file of this size may hold");
}

constexpr absl::string_view kEmptyArray =
    "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n)U\1b\x87R";

// dtype: an opcode string that leaves a dtype.
std::string Array(absl::string_view shape, absl::string_view code, absl::string_view data) {
  return absl::StrCat(kEmptyArray, "(K\1", shape, "cnumpy\ndtype\nU", std::string(1, code.size()),
                      code, "\x85R\x89", data, "tb.");
}

TEST(Hostile, ArraysThatContradictThemselves) {
  EXPECT_TRUE(StatusOf(Array("K\1\x85", "f4", "U\4abcd")).ok());
  ExpectError(Array("K\2\x85", "f4", "U\4abcd"), "4 bytes of data: the file is damaged");
  ExpectError(Array("J\xff\xff\xff\xff\x85", "f4", "U\4abcd"), "got int -1");
  const std::string huge = "\x8a\x08\0\0\0\0\0\0\0\x40"s;  // 2^62
  ExpectError(Array(huge + huge + "\x86", "f4", "U\4abcd"), "overflows 64 bits");
  ExpectError(Array(huge + "K\4\x86", "i1", "U\0"s), "overflows 64 bits");
  ExpectError(Array(huge + "K\0"s + huge + "\x87", "i1", "U\0"s), "overflows 64 bits");
  EXPECT_TRUE(StatusOf(Array(huge + "K\0\x86"s, "i1", "U\0"s)).ok());
  ExpectError(Array(huge + "\x85", "S0", "U\0"s), "the file is damaged");
  ExpectError(Array("K\2\x85", "O", "]"), "objects of an array, got list of 0");
  ExpectError(Array("K\1\x85", "f3", "U\3abc"), "dtype 'f3' is not supported");
  ExpectError(Array("K\1\x85", "V8", "U\3abc"), "8 bytes per element, but 3 bytes of data");
  ExpectError(Array("K\1\x85", "S99999999999999", "U\3abc"), "is not supported");
  ExpectError(Array("K\1", "f4", "U\4abcd"), "expected an array's shape");
  ExpectError(Array("(" + std::string(33, ')') + "t", "f4", "U\4abcd"), "at most 32 lengths");
  ExpectError(Array("K\1\x85", "f4", "K\1"), "expected the data of an array, got int");
  ExpectError(Array("K\1\x85", "i2", "X\3\0\0\0\xe2\x98\x83"s), "as latin-1 text");
  ExpectError(absl::StrCat(kEmptyArray, "K\1b."), "the state of an array is not NumPy's");
  ExpectError("cnumpy\ndtype\nU\2f4\x85R(K\3U\1<NNNK\3K\1K\0tb."s, "kind f and 3 bytes");
  ExpectError("cnumpy\ndtype\nU\2f4\x85R(K\3U\1<N(t}K\3K\1K\0tb."s, "structured dtype");
  ExpectError("cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nU\2f8\x85RU\4abcd\x86R.",
              "a NumPy scalar of 8 bytes, but 4");
}

}  // namespace
}  // namespace cmerc::pickle
