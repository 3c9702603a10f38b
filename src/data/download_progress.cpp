#include "data/download_progress.h"

#include <iomanip>
#include <sstream>

namespace rn::data {
namespace {

constexpr double kMegabyte = 1e6;
constexpr std::chrono::milliseconds kRedraw{200};

}  // namespace

void DownloadProgress::start(std::uint64_t bytes) {
  started_ = printed_ = std::chrono::steady_clock::now();
  started_at_ = bytes;
  printed_tenth_ = bytes * 10 / total_;
}

void DownloadProgress::update(std::uint64_t bytes) {
  const auto now = std::chrono::steady_clock::now();
  const std::uint64_t tenth = bytes * 10 / total_;
  if (terminal_ ? now - printed_ < kRedraw && bytes < total_ : tenth == printed_tenth_) return;
  printed_ = now;
  printed_tenth_ = tenth;
  print(bytes, std::chrono::duration<double>(now - started_).count());
}

void DownloadProgress::print(std::uint64_t bytes, double seconds) {
  std::ostringstream line;
  line << std::fixed << std::setprecision(1) << "  " << static_cast<double>(bytes) / kMegabyte << " of "
       << static_cast<double>(total_) / kMegabyte << " MB (" << bytes * 100 / total_ << " %)";
  if (seconds > 0) line << ", " << static_cast<double>(bytes - started_at_) / kMegabyte / seconds << " MB/s";
  if (terminal_) {
    out_ << '\r' << line.str() << "   " << std::flush;
    open_line_ = true;
  } else {
    out_ << line.str() << '\n' << std::flush;
  }
}

void DownloadProgress::finish_line() {
  if (open_line_) out_ << '\n' << std::flush;
  open_line_ = false;
}

}  // namespace rn::data
