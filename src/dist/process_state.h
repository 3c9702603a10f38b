// Whether another process of this node still lives.
#pragma once

#include <string_view>

namespace rn::dist {

enum class ProcessState {
  kRunning,  // or sleeping
  kStopped,  // by SIGSTOP, a terminal or a debugger
  kGone,     // no such process, or dead and not yet collected by its parent
};

ProcessState process_state(int pid);  // async-signal-safe

constexpr std::string_view name_of(ProcessState state) {
  return state == ProcessState::kGone ? "gone" : state == ProcessState::kStopped ? "stopped" : "running";
}

}  // namespace rn::dist
