// Generated conversations that need context and several modalities.
//
// Emotions: a speaker keeps the emotion of their previous utterance (persistence), takes that of
// the utterance before (contagion), or has a new one, uniform over the C classes.
//
// Features: each modality divides the classes into cells and shows the cell only. Text shows c / s,
// audio c mod s, every further one ((c + m - 1) mod C) / s, where s = max(2, floor(sqrt(C))), so
// that no modality alone tells all classes apart but two do. (A single modality shows c; so do all
// of them when C = 2.) Each stream has a random vector per cell;
//
//   x = (vector[cell] + sigma * normal) / sqrt(1 + sigma^2),   sigma = noise * distance
//
// with the distance between the two nearest vectors, so that entries have deviation 1 and noise
// means the same at any width. In a disagreeing utterance one modality shows another class's cell.
//
// Shapes: text [n, 32], audio [n, 16], visual [n, 16] by default. Example, shaped like IEMOCAP:
//
//   dataset {
//     [type.googleapis.com/cmerc.SyntheticOptions] {
//       train_conversations: 108 min_length: 8 mean_length: 49 max_length: 110
//       modalities { name: "text" width: 1024 streams: 4 }
//       modalities { name: "audio" width: 1582 }
//       modalities { name: "visual" width: 342 }
//     }
//   }
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/dataset.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/assembly/random.h"
#include "datasets/synthetic.pb.h"
#include "torch/types.h"

namespace cmerc {
namespace {

// How often the next utterance has another speaker.
constexpr double kSpeakerChange = 0.75;
constexpr int64_t kMaxParticipants = 4;

std::vector<SyntheticOptions::Modality> ModalitiesOf(const SyntheticOptions& options) {
  std::vector<SyntheticOptions::Modality> modalities(options.modalities().begin(),
                                                     options.modalities().end());
  if (modalities.empty()) {
    for (const auto& [name, width] : {std::pair("text", 32), {"audio", 16}, {"visual", 16}}) {
      modalities.emplace_back();
      modalities.back().set_name(name);
      modalities.back().set_width(width);
    }
  }
  return modalities;
}

// What is wrong with the options.
using Errors = std::vector<std::string>;

void CheckModalities(const SyntheticOptions& options, Errors* errors) {
  std::set<std::string> names;
  for (int m = 0; m < options.modalities_size(); ++m) {
    const SyntheticOptions::Modality& modality = options.modalities(m);
    const std::string field = absl::StrCat("modalities[", m, "]");
    if (modality.name().empty()) {
      errors->push_back(field + ".name is not set, must be \"text\", \"audio\", ...");
    } else if (!names.insert(modality.name()).second) {
      errors->push_back(
          absl::StrCat(field, ".name = \"", modality.name(), "\" is used twice, must be unique"));
    }
  }
}

absl::Status Validate(const SyntheticOptions& options) {
  Errors errors;
  if (options.persistence() + options.contagion() > 1) {
    errors.push_back(absl::StrCat("persistence + contagion = ",
                                  options.persistence() + options.contagion(), ", must be <= 1"));
  }
  if (options.mean_length() < options.min_length() ||
      options.mean_length() > options.max_length()) {
    errors.push_back(absl::StrCat("min_length, mean_length, max_length = ", options.min_length(),
                                  ", ", options.mean_length(), ", ", options.max_length(),
                                  ", must not decrease"));
  }
  CheckModalities(options, &errors);
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cmerc.SyntheticOptions: ", absl::StrJoin(errors, "; ")));
}

// Says which part of the class each modality shows.
class Cells {
 public:
  Cells(int64_t num_classes, int64_t num_modalities)
      : num_classes_(num_classes),
        size_(std::max<int64_t>(2, static_cast<int64_t>(std::sqrt(num_classes)))),
        whole_class_(num_classes == 2 || num_modalities == 1) {}

  int64_t Of(int64_t modality, int64_t label) const {
    if (whole_class_) return label;
    if (modality == 0) return label / size_;
    if (modality == 1) return label % size_;
    return (label + modality - 1) % num_classes_ / size_;
  }

  int64_t Count(int64_t modality) const {
    int64_t count = 0;
    for (int64_t label = 0; label < num_classes_; ++label) {
      count = std::max(count, Of(modality, label) + 1);
    }
    return count;
  }

 private:
  const int64_t num_classes_;
  const int64_t size_;
  const bool whole_class_;
};

torch::Tensor Normal(PortableRandom& random, int64_t rows, int64_t columns) {
  torch::Tensor values = torch::empty({rows, columns});
  std::generate_n(values.data_ptr<float>(), rows * columns, [&] { return random.Normal(); });
  return values;
}

// One stream of a modality: what its cells look like.
struct Stream {
  torch::Tensor vectors;  // [cells, D_m]
  double sigma;

  Stream(PortableRandom& random, int64_t cells, int64_t width, double noise)
      : vectors(Normal(random, cells, width)) {
    double nearest = std::numeric_limits<double>::infinity();
    for (int64_t a = 1; a < cells; ++a) {
      const torch::Tensor difference = vectors.narrow(0, 0, a) - vectors[a];
      nearest = std::min(
          nearest, difference.to(torch::kFloat64).square().sum(1).min().sqrt().item<double>());
    }
    sigma = noise * nearest;
  }

  // Returns [n, D_m] features of cells [n] int64. Each product and sum is rounded by itself, so
  // that they are the same on every machine.
  torch::Tensor Sample(PortableRandom& random, const torch::Tensor& cells) const {
    torch::Tensor noise = Normal(random, cells.size(0), vectors.size(1));
    return noise.mul_(sigma)
        .add_(vectors.index_select(0, cells))
        .mul_(1 / std::sqrt(1 + sigma * sigma));
  }
};

class Generator {
 public:
  explicit Generator(const SyntheticOptions& options)
      : options_(options),
        modalities_(ModalitiesOf(options)),
        cells_(options.num_classes(), static_cast<int64_t>(modalities_.size())) {
    PortableRandom random(options.seed(), 0);
    for (size_t m = 0; m < modalities_.size(); ++m) {
      streams_.emplace_back();
      for (int s = 0; s < modalities_[m].streams(); ++s) {
        streams_[m].emplace_back(random, cells_.Count(m), modalities_[m].width(), options.noise());
      }
    }
  }

  DatasetInfo Info() const {
    DatasetInfo info;
    info.name = "Synthetic";
    for (const SyntheticOptions::Modality& modality : modalities_) {
      info.modalities.push_back({modality.name(), modality.width(), modality.streams()});
    }
    for (int c = 0; c < options_.num_classes(); ++c) {
      info.class_names.push_back(absl::StrCat("class_", c));
    }
    info.num_speakers = options_.num_speakers();
    for (int s = 0; s < options_.num_speakers(); ++s) {
      info.speaker_names.push_back(absl::StrCat(s));
    }
    return info;
  }

  // Returns a conversation that depends on the options and its index alone.
  Conversation Generate(int64_t index, std::string id) const {
    PortableRandom random(options_.seed(), 1 + index);
    const int64_t length = Length(random);
    Conversation conversation;
    conversation.id = std::move(id);
    conversation.speakers = torch::empty({length}, torch::kInt64);
    conversation.labels = torch::empty({length}, torch::kInt64);
    Converse(random, length, conversation.speakers.data_ptr<int64_t>(),
             conversation.labels.data_ptr<int64_t>());

    const torch::Tensor cells = CellsOf(random, conversation.labels);
    for (size_t m = 0; m < modalities_.size(); ++m) {
      conversation.features.emplace_back();
      for (const Stream& stream : streams_[m]) {
        conversation.features[m].push_back(stream.Sample(random, cells[static_cast<int64_t>(m)]));
      }
    }
    return conversation;
  }

 private:
  // Draws a length, uniform over [min, mean] or over [mean, max], each as often as makes the mean
  // come out.
  int64_t Length(PortableRandom& random) const {
    const int64_t min = options_.min_length();
    const int64_t mean = options_.mean_length();
    const int64_t max = options_.max_length();
    const bool lower = random.Uniform() * static_cast<double>(max - min) < max - mean;
    return lower ? min + random.Below(mean - min + 1) : mean + random.Below(max - mean + 1);
  }

  // Returns what each modality shows of labels [n]: [modalities, n] int64. A modality of a
  // disagreeing utterance is drawn, and shows another cell than its label's.
  torch::Tensor CellsOf(PortableRandom& random, const torch::Tensor& labels) const {
    const auto num_modalities = static_cast<int64_t>(modalities_.size());
    const int64_t length = labels.size(0);
    torch::Tensor cells = torch::empty({num_modalities, length}, torch::kInt64);
    int64_t* cell = cells.data_ptr<int64_t>();
    for (int64_t i = 0; i < length; ++i) {
      const int64_t label = labels.data_ptr<int64_t>()[i];
      for (int64_t m = 0; m < num_modalities; ++m) cell[m * length + i] = cells_.Of(m, label);
      if (num_modalities > 1 && random.Uniform() < options_.disagreement()) {
        const int64_t m = random.Below(num_modalities);
        const int64_t honest = cell[m * length + i];
        while (cell[m * length + i] == honest) {
          cell[m * length + i] = cells_.Of(m, random.Below(options_.num_classes()));
        }
      }
    }
    return cells;
  }

  // Draws who speaks, and with which emotion: [length] each.
  void Converse(PortableRandom& random, int64_t length, int64_t* speakers, int64_t* labels) const {
    std::vector<int64_t> everyone(options_.num_speakers());
    std::iota(everyone.begin(), everyone.end(), 0);
    const int64_t participants =
        std::min<int64_t>(options_.num_speakers(), 2 + random.Below(kMaxParticipants - 1));
    for (int64_t p = 0; p < participants; ++p) {
      std::swap(everyone[p], everyone[p + random.Below(options_.num_speakers() - p)]);
    }
    std::vector<int64_t> last(participants, -1);  // each participant's latest emotion
    int64_t turn = 0;
    for (int64_t i = 0; i < length; ++i) {
      if (i > 0 && participants > 1 && random.Uniform() < kSpeakerChange) {
        turn = (turn + 1 + random.Below(participants - 1)) % participants;
      }
      const double cause = random.Uniform();
      int64_t label = random.Below(options_.num_classes());
      if (cause < options_.persistence()) {
        if (last[turn] >= 0) label = last[turn];
      } else if (cause < options_.persistence() + options_.contagion()) {
        if (i > 0) label = labels[i - 1];
      }
      speakers[i] = everyone[turn];
      labels[i] = last[turn] = label;
    }
  }

  const SyntheticOptions options_;
  const std::vector<SyntheticOptions::Modality> modalities_;
  const Cells cells_;
  std::vector<std::vector<Stream>> streams_;  // [modality][stream]
};

absl::StatusOr<std::unique_ptr<Dataset>> CreateSynthetic(const SyntheticOptions& options) {
  RETURN_IF_ERROR(Validate(options));
  return CatchTorch([&]() -> std::unique_ptr<Dataset> {
    const Generator generator(options);
    std::vector<Conversation> conversations;
    InMemoryDataset::Splits splits;
    const auto generate = [&](const char* name, int64_t count, std::vector<int64_t>* split) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t index = static_cast<int64_t>(conversations.size());
        conversations.push_back(generator.Generate(index, absl::StrCat(name, "_", i)));
        split->push_back(index);
      }
    };
    generate("train", options.train_conversations(), &splits.train);
    generate("valid", options.valid_conversations(), &splits.valid);
    generate("test", options.test_conversations(), &splits.test);
    splits.train_and_valid = splits.train;
    splits.train_and_valid.insert(splits.train_and_valid.end(), splits.valid.begin(),
                                  splits.valid.end());
    return std::make_unique<InMemoryDataset>(generator.Info(), std::move(conversations),
                                             std::move(splits));
  });
}

const Registered<SyntheticOptions> kRegistered(Datasets(), CreateSynthetic);

}  // namespace
}  // namespace cmerc
