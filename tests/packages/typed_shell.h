// An interactive bash on a terminal of its own, for tests that type into it.
#ifndef CMERC_TESTS_PACKAGES_TYPED_SHELL_H_
#define CMERC_TESTS_PACKAGES_TYPED_SHELL_H_

#include <sys/types.h>

#include <string>

namespace cmerc {

class TypedShell {
 public:
  // Starts it in `folder`, without anybody's settings.
  explicit TypedShell(const std::string& folder);
  ~TypedShell();
  TypedShell(const TypedShell&) = delete;
  TypedShell& operator=(const TypedShell&) = delete;

  // Types these keys and then Enter; returns what is on the terminal until the next prompt, with
  // the keys as they are echoed and "\r\n" at the ends of lines. A tab completes what is before it.
  std::string Type(const std::string& keys);

 private:
  // What it writes until it waits for the next line.
  std::string ReadToPrompt();

  int terminal_;
  pid_t shell_;
};

}  // namespace cmerc

#endif  // CMERC_TESTS_PACKAGES_TYPED_SHELL_H_
