// The progress line of a download.
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>

namespace rn::data {

class DownloadProgress {
 public:
  DownloadProgress(std::ostream& out, std::uint64_t total_bytes, bool terminal)
      : out_(out), total_(total_bytes), terminal_(terminal) {}

  void start(std::uint64_t bytes);   // of an attempt, with what is there already
  void update(std::uint64_t bytes);  // as often as bytes arrive
  void finish_line();                // ends a line that is being rewritten

 private:
  void print(std::uint64_t bytes, double seconds);

  std::ostream& out_;
  const std::uint64_t total_;
  const bool terminal_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point printed_;
  std::uint64_t started_at_ = 0;
  std::uint64_t printed_tenth_ = 0;
  bool open_line_ = false;
};

}  // namespace rn::data
