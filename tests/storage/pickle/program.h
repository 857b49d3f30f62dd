// Pickles written by hand, piece by piece: each function returns the program that leaves one
// object.
#ifndef CMERC_TESTS_STORAGE_PICKLE_PROGRAM_H_
#define CMERC_TESTS_STORAGE_PICKLE_PROGRAM_H_

#include <cstdint>
#include <string>
#include <vector>

namespace cmerc::pickle::program {

std::string None();
std::string Bool(bool value);
std::string Int(int64_t value);
std::string Float(double value);
std::string Text(const std::string& utf8);
std::string Bytes(const std::string& bytes);
std::string Tuple(const std::vector<std::string>& items);
std::string List(const std::vector<std::string>& items);
// Key, value, key, value, ...
std::string Dict(const std::vector<std::string>& entries);

std::string Global(const std::string& module, const std::string& name);
// REDUCE: `callable` is a global, `args` what its tuple of arguments holds.
std::string Call(const std::string& callable, const std::vector<std::string>& args);
// NEWOBJ.
std::string New(const std::string& callable, const std::vector<std::string>& args);
std::string Build(const std::string& object, const std::string& state);

// A dtype by NumPy's code, little-endian.
std::string NumpyType(const std::string& code);
// An array of a NumPy class; `data` holds the elements' bytes.
std::string Array(const std::vector<int64_t>& shape, const std::string& code,
                  const std::string& data, const std::string& module = "numpy",
                  const std::string& name = "ndarray");
// The bytes of numbers.
std::string FloatData(const std::vector<float>& values);
std::string IntData(const std::vector<int64_t>& values);

// What torch.save(storage, _use_new_zipfile_serialization=False) writes, for `count` elements.
std::string LegacyStorage(const std::string& type, int64_t count, const std::string& data);
// A tensor as pickle.dump writes it, without metadata.
std::string Tensor(const std::string& type, int64_t count, const std::string& data, int64_t offset,
                   const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides);

}  // namespace cmerc::pickle::program

#endif  // CMERC_TESTS_STORAGE_PICKLE_PROGRAM_H_
