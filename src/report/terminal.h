// Whether somebody watches, and how wide the window is.
#pragma once

namespace rn::report {

struct Terminal {
  bool live = false;  // a line may be drawn over
  int width = 0;      // columns; 0: unknown
};

// Of stdout. mpirun gives every rank a pseudo terminal of no size, whatever its own stdout is; so a terminal
// without columns does not count, and a launcher that knows better says so: RN_TERMINAL=1 or 0, COLUMNS=<n>.
Terminal terminal_of_stdout();

}  // namespace rn::report
