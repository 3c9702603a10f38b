// A small HTTP server on 127.0.0.1 that serves one body, and misbehaves as told.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace rn::data::testing {

struct HttpBehaviour {
  std::string body;
  bool ranges = true;  // answer "Range: bytes=N-" with 206
  int status = 200;    // other than 200: an error without the body
  std::vector<std::size_t>
      cut_after;  // bytes of body sent in the 1st, 2nd, ... answer before the line is cut
};

class HttpServer {
 public:
  explicit HttpServer(HttpBehaviour behaviour);
  ~HttpServer();  // stops serving
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url() const;                    // http://127.0.0.1:PORT/cifar-10-binary.tar.gz
  std::vector<std::int64_t> offsets() const;  // the start of the range of every request so far, 0 without one

 private:
  void serve();
  void answer(int connection);

  const HttpBehaviour behaviour_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<std::int64_t> offsets_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace rn::data::testing
