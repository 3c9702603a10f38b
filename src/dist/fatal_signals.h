// Faults of this process (SEGV, BUS, FPE, ILL, ABRT) as a bad end of the run.
#pragma once

namespace rn::dist {

class BadEnd;

// From now on a fault is reported through `end` (borrowed; must live until release): with several ranks the
// process leaves with code 8, with one the signal's default action follows. Handlers run on an alternate
// stack of the calling thread, so its stack overflow is reported too. May be called again, to take back what
// a library has installed.
void catch_fatal_signals(BadEnd& end);

// exit() from anywhere while several ranks run is a bad end (8): without this the rank would look successful.
void catch_early_exit(BadEnd& end);

// Both back to the default.
void release_fatal_signals();
void release_early_exit();

}  // namespace rn::dist
