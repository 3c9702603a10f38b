// The signals by which a user, a batch system or a launcher asks a run to stop.
#pragma once

#include "dist/stop_reason.h"

namespace rn::dist {

// SIGUSR1 asks for a requeue, SIGTERM and SIGINT for an end; all only leave a note, which the run reads
// between steps. A second SIGINT ends the process at once (130). SIGUSR2 and SIGPIPE are ignored: launchers
// forward the one, and a closed pipe is an error of write(). Call early; children start with the handlers'
// defaults but for the ignored ones.
void install_stop_signals();

// Back to the system's defaults: for commands that have nothing to save when they are asked to stop.
void release_stop_signals();

// The highest of the reasons asked for so far. Any thread.
StopReason pending_stop();

// Forgets what was asked for, for tests.
void forget_pending_stop();

}  // namespace rn::dist
