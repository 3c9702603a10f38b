// Whether another process of this node still lives.
#pragma once

namespace rn::dist {

enum class ProcessState {
  kRunning,  // or sleeping
  kStopped,  // by SIGSTOP, a terminal or a debugger
  kGone,     // no such process, or dead and not yet collected by its parent
};

ProcessState process_state(int pid);

}  // namespace rn::dist
