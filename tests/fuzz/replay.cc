// Runs a fuzz target over files: without libFuzzer, so that any compiler builds it.
// Usage: replay FILE...
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// For targets with a mutator of their own, which is not called here.
extern "C" size_t LLVMFuzzerMutate(uint8_t*, size_t size, size_t) { return size; }

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "no files to replay\n";
    return 1;
  }
  for (int i = 1; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (in.bad() || !in.is_open()) {
      std::cerr << argv[i] << ": cannot be read\n";
      return 1;
    }
    // Before the run: the last line says which file it was that ended the program.
    std::cerr << argv[i] << std::endl;
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  std::cerr << argc - 1 << " files replayed\n";
  return 0;
}
