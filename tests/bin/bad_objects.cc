#include "tests/bin/bad_objects.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bin/files.h"
#include "tests/storage/pickle/program.h"

namespace cmerc {
namespace {

using namespace pickle::program;

std::string Table(const std::string& of_each) {
  return Dict({Text("Ses0"), of_each, Text("Ses1"), of_each, Text("Ses2"), of_each});
}

// Conversations of two utterances, from what stands for features, training list and labels.
std::string PickleOf(const std::string& features, const std::string& train,
                     const std::string& labels) {
  return "\x80\x02" +
         Tuple({Table(List({Text("M"), Text("F")})), labels, features, features, features, features,
                Table(List({Text("."), Text(".")})), train, List({Text("Ses2")}),
                List({Text("Ses1")})}) +
         ".";
}

// `text` is what each conversation has for features.
std::string PickleWith(const std::string& text, const std::string& train = List({Text("Ses0")})) {
  return PickleOf(Table(text), train, Table(List({Int(0), Int(1)})));
}

}  // namespace

void WriteBadObjects(const std::string& folder) {
  const auto write = [&](const std::string& name, const std::string& contents) {
    WriteFile(absl::StrCat(folder, "/", name), contents);
  };
  const std::string data = FloatData({1, 2, 3, 4});
  write("object.pkl", PickleWith(Build(New(Global("features", "LazyMatrix"), {}),
                                       Dict({Text("path"), Text("text.h5")}))));
  write("masked.pkl",
        PickleWith(Build(Call(Global("numpy.ma.core", "_mareconstruct"),
                              {Global("numpy.ma", "MaskedArray"), Global("numpy", "ndarray"),
                               Tuple({Int(0)}), Bytes("b")}),
                         Tuple({Int(1), Tuple({Int(2), Int(2)}), NumpyType("f4"), Bool(false),
                                Bytes(data), Bytes(std::string("\0\1\0\0", 4)), None()}))));
  write("complex.pkl", PickleWith(Array({2, 1}, "c8", data)));
  write("dates.pkl", PickleWith(Array({2, 2}, "f4", data),
                                List({Call(Global("datetime", "date"), {Bytes("2026")})})));
  const std::string features = Table(Array({2, 2}, "f4", data));
  const std::string train = List({Text("Ses0")});
  write("text_labels.pkl", PickleOf(features, train, Table(List({Text("joy"), Text("anger")}))));
  write("one_hot_labels.pkl",
        PickleOf(features, train, Table(List({List({Int(0), Int(1)}), List({Int(1), Int(0)})}))));
  write("no_text.pkl", PickleOf(None(), train, Table(List({Int(0), Int(1)}))));
  write("object_file.pkl", "\x80\x02" + New(Global("corpus", "Corpus"), {}) + ".");
}

}  // namespace cmerc
