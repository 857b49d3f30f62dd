#include "storage/python_files.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "bytes/little_endian.h"

namespace cmerc {
namespace {

constexpr char kOnlyIfTrusted[] = " (this runs what the file says: only for a file that you trust)";

// The pickle of 0x1950a86a20f9469cfc6c, with which files of PyTorch before 1.6 begin; protocol 2.
constexpr absl::string_view kLegacyMagic("\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.", 15);

// Whether the object of a pickle is a dict: the first opcode after what says the protocol and the
// length of its frame.
bool IsDict(absl::string_view pickled) {
  if (absl::StartsWith(pickled, "\x80")) pickled.remove_prefix(std::min<size_t>(2, pickled.size()));
  if (absl::StartsWith(pickled, "\x95")) pickled.remove_prefix(std::min<size_t>(9, pickled.size()));
  return absl::StartsWith(pickled, "}");
}

// `path` in Python's single quotes; FILE where it does not fit there.
std::string Quoted(const std::string& path) {
  for (const char c : path) {
    if (c < ' ' || c == '\'' || c == '"' || c == '\\' || c == '$' || c == '`') return "'FILE'";
  }
  return absl::StrCat("'", path, "'");
}

// Eight bytes with the length of a header in JSON.
bool IsSafetensors(absl::string_view bytes) {
  if (bytes.size() < 10 || bytes.substr(8, 2) != "{\"") return false;
  return ReadLittleEndian(bytes, 0, 8) <= bytes.size() - 8;
}

}  // namespace

std::string SaveInPython(absl::string_view expression, const std::string& path) {
  // Only a model has to be made by running what the file says; tensors have not.
  const bool runs = absl::StrContains(expression, "KEY") || absl::StrContains(expression, "()");
  const std::string load = absl::StrCat("torch.load(", Quoted(path), ", map_location='cpu'",
                                        runs ? ", weights_only=False)" : ")");
  return absl::StrCat("python3 -c \"import torch; torch.save(",
                      absl::StrReplaceAll(expression, {{"LOAD", load}}), ", 'weights.pth')\"");
}

std::string DescribeOtherFormat(absl::string_view bytes, const std::string& path) {
  if (absl::StartsWith(bytes, kLegacyMagic)) {
    const bool whole_model = absl::StrContains(bytes, "torch.nn.modules");
    return absl::StrCat(
        "this is the format of PyTorch before 1.6", whole_model ? ", and a whole model" : "",
        "; save the weights anew: ", SaveInPython(whole_model ? "LOAD.state_dict()" : "LOAD", path),
        whole_model ? kOnlyIfTrusted : "");
  }
  if (absl::StartsWith(bytes, "\x80") && absl::StrContains(bytes, "_rebuild_tensor")) {
    return absl::StrCat(
        "this is a file of pickle.dump(), not of torch.save(); save the weights anew: python3 -c "
        "\"import "
        "pickle, torch; torch.save(pickle.load(open(",
        Quoted(path), ", 'rb')), 'weights.pth')\"", kOnlyIfTrusted);
  }
  if (IsSafetensors(bytes)) {
    return absl::StrCat(
        "this is safetensors; save the weights anew: python3 -c \"import torch; from "
        "safetensors.torch import load_file; torch.save(load_file(",
        Quoted(path), "), 'weights.pth')\"");
  }
  return "";
}

std::string DescribeOtherObjects(absl::string_view pickled, const std::string& path) {
  const bool whole_model = absl::StrContains(pickled, "torch.nn.modules");
  const bool is_dict = IsDict(pickled);
  if (!whole_model && !is_dict) return "want a dict of tensors, torch.save(model.state_dict(), f)";
  return absl::StrCat(
      whole_model ? "this is a whole model, and only weights are read here; save them alone: "
                  : "save the weights alone: ",
      SaveInPython(
          absl::StrCat("LOAD", is_dict ? "['KEY']" : "", whole_model ? ".state_dict()" : ""), path),
      is_dict
          ? absl::StrCat(", where KEY is the entry with the ", whole_model ? "model" : "weights")
          : "",
      kOnlyIfTrusted);
}

std::string DescribeTorchScript(const std::string& path) {
  return absl::StrCat(
      "this is a TorchScript model, and only weights are read here; save them alone: python3 -c "
      "\"import torch; torch.save(torch.jit.load(",
      Quoted(path), ", map_location='cpu').state_dict(), 'weights.pth')\"");
}

}  // namespace cmerc
