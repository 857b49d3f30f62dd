// Numbers of the official CMERC code (its forward passes, losses, gradients, six Adam steps,
// difficulties and curricula), read from the folder $CMERC_GOLDEN_DIR or the project's own copy,
// and the device that ours are computed on.
#ifndef CMERC_TESTS_GOLDEN_GOLDEN_H_
#define CMERC_TESTS_GOLDEN_GOLDEN_H_

#include <map>
#include <string>
#include <vector>

#include "core/batch.h"
#include "core/dataset.h"

namespace cmerc::golden {

// Absolute or runfiles-relative path of a fixture: Path("iemocap_eval.pt").
std::string Path(const std::string& file);

// key -> tensor of one fixture file. Fails the test program when the file cannot be read.
using Tensors = std::map<std::string, torch::Tensor>;
Tensors Load(const std::string& file);
// Loads any file of that form, given its whole path: "tests/golden/mmgcn/data/s2_l4.pt".
Tensors LoadFile(const std::string& path);

// The names of the sets in index.json (iemocap, meld, meldnolin), each with its own files:
// NAME_eval.pt, NAME_train.pt, ...
std::vector<std::string> Sets();

// The configuration of a set (index.json, sets[NAME].config).
struct Config {
  DatasetInfo info;                // modalities text (4 streams), audio, visual
  int64_t input_width = 0;         // G, "D_g"
  int64_t graph_width = 0;         // H, "graph_h"
  int64_t num_hypergraph = 0;      // num_L
  int64_t num_high_frequency = 0;  // num_K
  bool text_linear = false;        // linear_l is applied: not where the set is MELD without it
  bool weighted_nll = false;       // else the official focal loss
  double ranking_weight = 0;
  double mscl_weight = 0;
  double cscl_weight = 0;
};
Config ConfigOf(const std::string& set);

// Where models, losses and steps run: on the device that $CMERC_GOLDEN_DEVICE names ("cuda",
// "cuda:1"), by default on the CPU. Where it is a GPU that is not there, every test of the program
// is skipped, and the program says so.
torch::Device Device();

torch::Tensor OnDevice(const torch::Tensor& tensor);
// But for `lengths`, which stay on the CPU.
Batch OnDevice(const Batch& batch);

// What numbers of Device() may be off by, if it is `on_cpu` there.
double Tolerance(double on_cpu);

// A batch on Device() from PREFIX.textf1..4, acouf, visuf, qmask, labels, lengths ([T, B, D],
// one-hot speakers).
Batch ReadBatch(const Tensors& inputs, const std::string& prefix);

// max |a - b| / max(1, max |b|), wherever they are: the measure of the fixtures' tolerances.
double Difference(const torch::Tensor& a, const torch::Tensor& b);

// max |a - b| / max |b|: small gradients count as much as large ones.
double RelativeDifference(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace cmerc::golden

#endif  // CMERC_TESTS_GOLDEN_GOLDEN_H_
