#include "report/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace rn::report {
namespace {

// "" where it is not set.
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

int columns_of_stdout() {
  winsize window{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 ? window.ws_col : 0;
}

}  // namespace

Terminal terminal_of_stdout() {
  Terminal terminal;
  terminal.width = columns_of_stdout();
  if (terminal.width == 0) terminal.width = std::atoi(environment("COLUMNS").c_str());
  const auto told = environment("RN_TERMINAL");
  if (!told.empty()) {
    terminal.live = told == "1";
  } else {
    terminal.live = ::isatty(STDOUT_FILENO) == 1 && columns_of_stdout() > 0 && environment("TERM") != "dumb";
  }
  return terminal;
}

}  // namespace rn::report
