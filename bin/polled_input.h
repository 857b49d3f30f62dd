// A file descriptor as a stream that knows whether a line can be read without waiting for it.
#ifndef CMERC_BIN_POLLED_INPUT_H_
#define CMERC_BIN_POLLED_INPUT_H_

#include <cstddef>
#include <streambuf>
#include <string>

namespace cmerc {

class PolledInput final : public std::streambuf {
 public:
  // Reads `descriptor`, which stays open. Where `should_stop` is given and says so, the stream ends
  // within a moment, even while nothing comes.
  explicit PolledInput(int descriptor, bool (*should_stop)() = nullptr)
      : descriptor_(descriptor), should_stop_(should_stop) {}

  // Whether a line that is not blank, or the end, is there. Of a longer line than 4 MiB only the
  // beginning is looked at: it is not there.
  bool HasLine();

  // The first bytes, as many as come at once; waits for them. Nothing has been taken from the
  // stream before, and nothing is taken from it.
  std::string Head();

  // The system's error number that ended the stream, 0 where it has not failed.
  int error() const { return error_; }

 protected:
  int_type underflow() override;

 private:
  // Waits until something can be read; false where the stream is to end before.
  bool Wait() const;
  // Appends what comes next to the buffer, waiting for it; false at the end and after an error.
  bool ReadMore();

  const int descriptor_;
  bool (*const should_stop_)();
  std::string buffer_;  // its end is egptr()
  bool ended_ = false;
  int error_ = 0;
};

}  // namespace cmerc

#endif  // CMERC_BIN_POLLED_INPUT_H_
