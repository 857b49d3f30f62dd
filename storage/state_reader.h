// The tensors that the data.pkl of a checkpoint describes.
#ifndef CMERC_STORAGE_STATE_READER_H_
#define CMERC_STORAGE_STATE_READER_H_

#include "absl/status/statusor.h"
#include "storage/archive.h"
#include "storage/checkpoint.h"
#include "storage/pickle/pickle.h"
#include "storage/state_choice.h"

namespace cmerc {

// Reads the tensors of choice.dict, which is in `document`, from the records of `archive`; their
// names lose choice.prefix. Errors, with the place in the file: an entry is no tensor, or its
// storage is missing, too small, damaged or of a type that checkpoints do not hold; the tensors
// take more than 64 times the file.
absl::StatusOr<StateDict> ReadTensors(const pickle::Document& document, const StateChoice& choice,
                                      const Archive& archive);

}  // namespace cmerc

#endif  // CMERC_STORAGE_STATE_READER_H_
