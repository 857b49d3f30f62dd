#include "backbones/layers/copies.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "backbones/layers/distinct_rows.h"
#include "backbones/layers/mean_of_streams.h"

namespace cmerc {
namespace {

using torch::Tensor;

thread_local int64_t copies_now = 1;

bool HaveSameFeatures(const Batch& a, const Batch& b, const std::vector<int64_t>& modalities) {
  return std::all_of(modalities.begin(), modalities.end(), [&](int64_t m) {
    const std::vector<Tensor>& of_a = a.modalities[m].streams;
    return std::equal(of_a.begin(), of_a.end(), b.modalities[m].streams.begin(),
                      [](const Tensor& x, const Tensor& y) { return x.is_same(y); });
  });
}

}  // namespace

CopiesInPass::CopiesInPass(size_t copies)
    : before_(std::exchange(copies_now, static_cast<int64_t>(copies))) {}

CopiesInPass::~CopiesInPass() { copies_now = before_; }

int64_t CopiesInPass::Now() { return copies_now; }

Batch JoinWithoutFeatures(absl::Span<const Batch> batches) {
  if (batches.size() == 1) return batches[0];
  const auto join = [&](Tensor Batch::*part) {
    std::vector<Tensor> parts;
    for (const Batch& batch : batches) parts.push_back(batch.*part);
    return torch::cat(parts);
  };
  Batch all;
  all.speakers = join(&Batch::speakers);
  all.context = join(&Batch::context);
  all.lengths = join(&Batch::lengths);
  all.labels = join(&Batch::labels);
  if (batches[0].evidence.defined()) all.evidence = join(&Batch::evidence);
  all.scope = batches[0].scope;
  return all;
}

Versions Versions::OfModality(absl::Span<const Batch> batches, int64_t m) { return {batches, {m}}; }

Versions Versions::OfFeatures(absl::Span<const Batch> batches) {
  std::vector<int64_t> all(batches[0].modalities.size());
  std::iota(all.begin(), all.end(), 0);
  return {batches, std::move(all)};
}

Versions::Versions(absl::Span<const Batch> batches, std::vector<int64_t> modalities) {
  for (const Batch& batch : batches) {
    const auto version = std::find_if(batches_.begin(), batches_.end(), [&](const Batch* other) {
      return HaveSameFeatures(*other, batch, modalities);
    });
    of_copy_.push_back(version - batches_.begin());
    if (version == batches_.end()) batches_.push_back(&batch);
  }
}

Tensor Versions::lengths() const {
  return batches_[0]->lengths.repeat({static_cast<int64_t>(count())});
}

Tensor Versions::Join(absl::FunctionRef<Tensor(const Batch&)> make) const {
  std::vector<Tensor> parts;
  for (const Batch* const batch : batches_) parts.push_back(make(*batch));
  return parts.size() == 1 ? parts[0] : torch::cat(parts);
}

Tensor Versions::MapRows(int64_t m, const Packing& packing, bool past,
                         absl::FunctionRef<Tensor(const Tensor&)> layer) const {
  if (count() == 1) return layer(packing.Pack(MeanOfStreams(batches_[0]->modalities[m].streams)));
  std::vector<Tensor> rows;
  std::vector<int64_t> sizes;
  std::vector<DistinctRows> distinct;
  for (const Batch* const batch : batches_) {
    const Tensor mean = MeanOfStreams(batch->modalities[m].streams);
    // The rows of the first batch are those of Forward(), as they are.
    distinct.emplace_back(std::vector<Tensor>{mean}, packing, /*padded=*/false,
                          /*alike=*/!past && batch != batches_[0]);
    rows.push_back(distinct.back().Select(mean));
    sizes.push_back(rows.back().size(0));
  }
  std::vector<Tensor> parts = layer(torch::cat(rows)).split_with_sizes(sizes);
  for (size_t v = 0; v < parts.size(); ++v) parts[v] = distinct[v].Utterances(parts[v]);
  return torch::cat(parts);
}

Tensor Versions::ToCopies(const Tensor& rows) const {
  if (count() == of_copy_.size()) return rows;
  // Gradients of the copies of a version are added up, one to the other, as wholes.
  const std::vector<Tensor> of_version = rows.chunk(static_cast<int64_t>(count()));
  std::vector<Tensor> of_copy;
  for (const int64_t version : of_copy_) of_copy.push_back(of_version[version]);
  return torch::cat(of_copy);
}

Tensor EncodeSideBySide(absl::Span<const Batch> batches, const Packing& packing,
                        absl::FunctionRef<Tensor(const Tensor&, const Tensor&)> encode) {
  const Versions versions = Versions::OfFeatures(batches);
  const CopiesInPass copies(versions.count());
  const Tensor rows = versions.Join(
      [&](const Batch& batch) { return packing.Pack(MeansSideBySide(batch.modalities)); });
  return versions.ToCopies(encode(rows, versions.lengths()));
}

}  // namespace cmerc
