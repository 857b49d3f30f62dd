#include "tests/serving/raw_client.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace cmerc::serving {

RawClient::RawClient(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0)
      << std::strerror(errno);
}

RawClient::~RawClient() { close(socket_); }

void RawClient::Send(const std::string& bytes) const {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;  // the server has answered and closed; what it said is read next
    sent += static_cast<size_t>(count);
  }
}

void RawClient::EndSending() const { shutdown(socket_, SHUT_WR); }

std::string RawClient::ReadAll() const {
  std::string text;
  std::array<char, 4096> buffer{};
  ssize_t count = 0;
  while ((count = read(socket_, buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  return text;
}

std::string RawClient::ReadAnswer() const {
  std::string text;
  char c = 0;
  while (text.find("\r\n\r\n") == std::string::npos) {
    if (read(socket_, &c, 1) != 1) return "";
    text.push_back(c);
  }
  const size_t at = text.find("Content-Length: ");
  if (at == std::string::npos) return text;
  for (int64_t left = std::atoll(text.c_str() + at + 16); left > 0; --left) {
    if (read(socket_, &c, 1) != 1) return "";
    text.push_back(c);
  }
  return text;
}

HttpAnswer ParseAnswer(const std::string& text) {
  HttpAnswer answer;
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos || text.size() < 12) return answer;
  answer.status = std::atoi(text.c_str() + 9);  // HTTP/1.1 200 OK
  answer.head = text.substr(0, end + 2);
  answer.body = text.substr(end + 4);
  return answer;
}

HttpAnswer Ask(int port, const std::string& method, const std::string& path,
               const std::string& body, const std::map<std::string, std::string>& headers) {
  const RawClient client(port);
  std::string request = absl::StrCat(method, " ", path, " HTTP/1.1\r\n");
  if (headers.count("Host") == 0) absl::StrAppend(&request, "Host: localhost:", port, "\r\n");
  for (const auto& [name, value] : headers) {
    absl::StrAppend(&request, name, ": ", value, "\r\n");
  }
  if (method == "POST") absl::StrAppend(&request, "Content-Length: ", body.size(), "\r\n");
  absl::StrAppend(&request, "Connection: close\r\n\r\n", body);
  client.Send(request);
  return ParseAnswer(client.ReadAll());
}

}  // namespace cmerc::serving
