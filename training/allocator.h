// What the memory of training steps costs.
#ifndef CMERC_TRAINING_ALLOCATOR_H_
#define CMERC_TRAINING_ALLOCATOR_H_

namespace cmerc {

// From now on this process keeps the memory that it frees, in huge pages where the system has them:
// a step needs what the last one had, and to give it back and ask for it again, zeroed and page by
// page, takes a tenth of a step. Tensors above 32 MB still go back to the system. To be called at
// the start of main(). Does nothing without glibc.
void KeepFreedMemory();

}  // namespace cmerc

#endif  // CMERC_TRAINING_ALLOCATOR_H_
