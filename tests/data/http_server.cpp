#include "data/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "core/error.h"

namespace rn::data::testing {
namespace {

void send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the client went away: its right
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string receive_request(int connection) {
  std::string request;
  char piece[2048];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const auto got = ::recv(connection, piece, sizeof piece, 0);
    if (got <= 0) break;
    request.append(piece, static_cast<std::size_t>(got));
  }
  return request;
}

}  // namespace

HttpServer::HttpServer(HttpBehaviour behaviour) : behaviour_(std::move(behaviour)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listener_, 8) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::runtime_error("cannot listen on 127.0.0.1");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

HttpServer::~HttpServer() {
  stopping_ = true;
  thread_.join();
  ::close(listener_);
}

std::string HttpServer::url() const { return cat("http://127.0.0.1:", port_, "/cifar-10-binary.tar.gz"); }

std::vector<std::int64_t> HttpServer::offsets() const {
  const std::lock_guard lock(mutex_);
  return offsets_;
}

void HttpServer::serve() {
  while (!stopping_) {
    pollfd waiting{.fd = listener_, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, 20) <= 0) continue;
    const int connection = ::accept(listener_, nullptr, nullptr);
    if (connection < 0) continue;
    answer(connection);
    ::close(connection);
  }
}

void HttpServer::answer(int connection) {
  const std::string request = receive_request(connection);
  std::size_t offset = 0;
  if (const auto at = request.find("Range: bytes="); at != std::string::npos)
    offset = std::stoul(request.substr(at + 13));
  std::size_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = offsets_.size();
    offsets_.push_back(static_cast<std::int64_t>(offset));
  }
  const std::string close = "Connection: close\r\n\r\n";
  if (behaviour_.status != 200) {
    return send_all(connection, cat("HTTP/1.1 ", behaviour_.status, " No\r\nContent-Length: 0\r\n", close));
  }
  const auto& body = behaviour_.body;
  if (offset > body.size()) {
    return send_all(connection, cat("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n", close));
  }
  if (!behaviour_.ranges) offset = 0;
  const std::string_view rest = std::string_view(body).substr(offset);
  std::string head = offset > 0 ? cat("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes ", offset, "-",
                                      body.size() - 1, "/", body.size(), "\r\n")
                                : std::string("HTTP/1.1 200 OK\r\n");
  send_all(connection, cat(head, "Content-Length: ", rest.size(), "\r\n", close));
  const bool cut = number < behaviour_.cut_after.size();
  send_all(connection, cut ? rest.substr(0, std::min(rest.size(), behaviour_.cut_after[number])) : rest);
}

}  // namespace rn::data::testing
