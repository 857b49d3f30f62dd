#include "training/digest.h"

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

namespace cmerc {
namespace {

using torch::Tensor;

// FNV-1a over words of 8 bytes, and what is left over by the byte.
class Digest {
 public:
  void Add(const void* data, size_t size) {
    const char* bytes = static_cast<const char*>(data);
    for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), bytes += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, bytes, sizeof(word));
      Mix(word);
    }
    for (; size > 0; --size) Mix(static_cast<unsigned char>(*bytes++));
  }
  void Add(const Tensor& tensor) {
    for (const int64_t extent : tensor.sizes()) Mix(static_cast<uint64_t>(extent));
    const Tensor dense = tensor.contiguous();
    Add(dense.data_ptr(), dense.nbytes());
  }
  void Add(const std::string& text) {
    Mix(text.size());
    Add(text.data(), text.size());
  }
  void Add(const std::vector<int64_t>& numbers) {
    Mix(numbers.size());
    Add(numbers.data(), numbers.size() * sizeof(int64_t));
  }
  uint64_t value() const { return hash_; }

 private:
  void Mix(uint64_t word) { hash_ = (hash_ ^ word) * 1099511628211u; }
  uint64_t hash_ = 14695981039346656037u;
};

}  // namespace

uint64_t DataDigest(const PreparedData& data) {
  Digest digest;
  for (const std::vector<int64_t>* split : {&data.train, &data.valid, &data.test}) {
    digest.Add(*split);
  }
  for (const Conversation& conversation : data.conversations) {
    digest.Add(conversation.id);
    digest.Add(conversation.labels);
    digest.Add(conversation.speakers);
    if (conversation.present.defined()) digest.Add(conversation.present);
    const void* previous = nullptr;  // streams are often one tensor
    for (const std::vector<Tensor>& streams : conversation.features) {
      for (const Tensor& stream : streams) {
        if (stream.data_ptr() != previous) digest.Add(stream);
        previous = stream.data_ptr();
      }
    }
  }
  if (data.late != nullptr) {
    // What the model sees is made of what the file holds and of these numbers.
    digest.Add(std::vector<int64_t>{static_cast<int64_t>(data.late->Digest())});
    if (data.standardization.has_value()) digest.Add(data.standardization->SerializeAsString());
    digest.Add(Describe(data.means).SerializeAsString());
  }
  return digest.value();
}

uint64_t WeightsDigest(const StateDict& weights) {
  Digest digest;
  for (const auto& [name, tensor] : weights) {
    digest.Add(name);
    digest.Add(std::string(torch::toString(tensor.scalar_type())));
    digest.Add(tensor.to(torch::kCPU));
  }
  return digest.value();
}

}  // namespace cmerc
