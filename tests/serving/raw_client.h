// A client that sends what the test wants, right or wrong.
#ifndef CMERC_TESTS_SERVING_RAW_CLIENT_H_
#define CMERC_TESTS_SERVING_RAW_CLIENT_H_

#include <map>
#include <string>

namespace cmerc::serving {

// A connection to a port of this machine.
class RawClient {
 public:
  explicit RawClient(int port);
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient();

  void Send(const std::string& bytes) const;
  // Sends no more, as a client that breaks off.
  void EndSending() const;
  // What comes until the server closes the connection.
  std::string ReadAll() const;
  // One answer with a Content-Length; "" where the connection is closed before it.
  std::string ReadAnswer() const;

 private:
  int socket_;
};

struct HttpAnswer {
  int status = 0;
  std::string head;  // with the header lines
  std::string body;
};

HttpAnswer ParseAnswer(const std::string& text);

// A request on a connection of its own.
HttpAnswer Ask(int port, const std::string& method, const std::string& path,
               const std::string& body = "",
               const std::map<std::string, std::string>& headers = {});

}  // namespace cmerc::serving

#endif  // CMERC_TESTS_SERVING_RAW_CLIENT_H_
