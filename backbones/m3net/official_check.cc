#include "backbones/m3net/official_check.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "backbones/layers/modality_names.h"

namespace cmerc {
namespace {

// How to set an option of the backbone on the command line.
std::string Set(const char* option) {
  return absl::StrCat("--set='backbone { [type.googleapis.com/cmerc.M3NetOptions] { ", option,
                      " } }'");
}

// Whether the weight [out, in] of a linear layer holds a number that PyTorch does not draw for it
// in the beginning: those are within 1 / sqrt(in).
bool IsTrained(const torch::Tensor& weight) {
  const double bound = 1 / std::sqrt(static_cast<double>(weight.size(1)));
  return weight.abs().max().item<double>() > bound * (1 + 1e-6);
}

}  // namespace

std::string M3NetDeparture(const M3NetOptions& options) {
  const bool always_linear = options.text_encoder() == M3NetOptions::LSTM ||
                             options.text_encoder() == M3NetOptions::TRANSFORMER;
  if (options.semantics() != OFFICIAL || options.text_linear() || !always_linear) return "";
  return absl::StrCat(
      "text_linear = false with text_encoder = ",
      M3NetOptions::TextEncoder_Name(options.text_encoder()),
      ": the official code leaves linear_l out with --base-model GRU alone, on MELD too, and so "
      "semantics: OFFICIAL is not official here; add ",
      Set("text_linear: true"));
}

std::string M3NetDoubt(const M3NetOptions& options, const DatasetInfo& info,
                       const std::map<std::string, torch::Tensor>& state) {
  const int64_t encoded = FindModality(info, options.encoded_modality());
  if (options.semantics() != OFFICIAL || options.text_encoder() != M3NetOptions::GRU ||
      encoded < 0 || info.modalities[encoded].width != options.input_width()) {
    return "";
  }
  const std::string name =
      absl::StrCat("linear_", ShortModalityName(info.modalities[encoded].name), ".weight");
  const auto weight = state.find(name);
  if (weight == state.end() || weight->second.dim() != 2 || weight->second.numel() == 0) return "";
  if (IsTrained(weight->second) == options.text_linear()) return "";
  return absl::StrCat(
      name,
      options.text_linear()
          ? " holds nothing but numbers as PyTorch draws them in the beginning, as where the "
            "official code leaves that layer out (MELD with --base-model GRU), and text_linear = "
            "true applies it; if so, add "
          : " holds other numbers than PyTorch draws in the beginning, as where the official code "
            "trains that layer (not on MELD with --base-model GRU), and text_linear = false leaves "
            "it out; if so, add ",
      Set(options.text_linear() ? "text_linear: false" : "text_linear: true"));
}

}  // namespace cmerc
