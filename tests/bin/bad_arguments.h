// Command lines of `cmerc` for the tables of wrong uses. Files are those of WriteBadFiles() and
// "run/".
#ifndef CMERC_TESTS_BIN_BAD_ARGUMENTS_H_
#define CMERC_TESTS_BIN_BAD_ARGUMENTS_H_

#include <string>
#include <vector>

namespace cmerc {

using Args = std::vector<std::string>;

// `cmerc train` of tiny.textproto with more flags. Without --output among them it is below the
// folder of the test.
Args Train(const Args& more);

// Train() with --set=`fragment`, and with parts of a config in it.
Args TrainSet(const std::string& fragment);
Args TrainModel(const std::string& options);
Args TrainLoss(const std::string& loss);
Args TrainSynthetic(const std::string& options);
Args TrainPickle(const std::string& file, const std::string& options = "");
// The scheduler of this curriculum needs difficulties.
Args TrainCurriculum(const std::string& fields);

// `cmerc evaluate` and `cmerc difficulty` of run/selected.pth with more flags.
Args Evaluate(const Args& more);
Args Difficulty(const Args& more);

}  // namespace cmerc

#endif  // CMERC_TESTS_BIN_BAD_ARGUMENTS_H_
