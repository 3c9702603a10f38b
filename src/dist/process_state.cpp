#include "dist/process_state.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace rn::dist {

ProcessState process_state(int pid) {
  if (kill(pid, 0) != 0 && errno == ESRCH) return ProcessState::kGone;
  // No streams: called ten times a second for every rank of the node.
  char path[32];
  std::snprintf(path, sizeof(path), "/proc/%d/stat", pid);  // of integers glibc's neither locks nor allocates
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ProcessState::kRunning;  // no /proc (macOS): kill() alone decides
  char text[512];
  const ssize_t size = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (size <= 0) return ProcessState::kGone;  // ended between the two looks
  text[size] = '\0';
  const char* name_end =
      std::strrchr(text, ')');  // "PID (name) STATE ..."; a name may hold spaces and brackets
  if (!name_end || name_end[1] == '\0') return ProcessState::kRunning;
  switch (name_end[2]) {
    case 'Z':
    case 'X':
      return ProcessState::kGone;
    case 'T':
    case 't':
      return ProcessState::kStopped;
    default:
      return ProcessState::kRunning;
  }
}

}  // namespace rn::dist
