#include "training/part_streams.h"

#include <ATen/Context.h>

#include <limits>

namespace cmerc {
namespace {

// A seed that looks like no other: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
uint64_t Mix(uint64_t step, uint64_t part) {
  uint64_t z = step + (part + 1) * 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

}  // namespace

PartStreams::PartStreams(const torch::Device& device) {
  step_ = static_cast<uint64_t>(
      torch::randint(std::numeric_limits<int64_t>::max(), {1}, torch::kInt64).item<int64_t>());
  std::vector<torch::Device> devices = {torch::kCPU};
  if (!device.is_cpu()) devices.push_back(device);
  for (const torch::Device& one : devices) {
    at::Generator generator = at::globalContext().defaultGenerator(one);
    torch::Tensor state = generator.get_state();
    generators_.emplace_back(std::move(generator), std::move(state));
  }
}

PartStreams::~PartStreams() {
  for (auto& [generator, state] : generators_) generator.set_state(state);
}

void PartStreams::Begin(int64_t part) {
  for (auto& [generator, state] : generators_) {
    generator.set_current_seed(Mix(step_, static_cast<uint64_t>(part)));
  }
}

}  // namespace cmerc
