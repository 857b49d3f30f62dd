// The way of libFuzzer into a target whose input is a zip archive: mutated archives are made whole
// again.
#ifndef CMERC_TESTS_FUZZ_ZIP_REPAIR_H_
#define CMERC_TESTS_FUZZ_ZIP_REPAIR_H_

#include <string>

namespace cmerc::fuzz {

// Defined by the target: checks the laws on these bytes. LLVMFuzzerTestOneInput() calls it.
//
// LLVMFuzzerCustomMutator() mutates, and most of the time gives every record that the directory
// lists the checksum of its data and puts the end record's numbers right: few other changes would
// get past them.
void Run(std::string input);

}  // namespace cmerc::fuzz

#endif  // CMERC_TESTS_FUZZ_ZIP_REPAIR_H_
