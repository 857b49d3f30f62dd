// Makes mutated zip archives whole again.
#ifndef CMERC_TESTS_FUZZ_ZIP_REPAIR_H_
#define CMERC_TESTS_FUZZ_ZIP_REPAIR_H_

#include <cstddef>
#include <cstdint>

namespace cmerc::fuzz {

// For LLVMFuzzerCustomMutator(): mutates, and most of the time gives every record that the
// directory lists the checksum of its data and puts the end record's numbers right: few other
// changes would get past them.
size_t MutateZip(uint8_t* data, size_t size, size_t max_size, unsigned seed);

}  // namespace cmerc::fuzz

#endif  // CMERC_TESTS_FUZZ_ZIP_REPAIR_H_
