// One fault on purpose and what must become of the run.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace rn::faults {

struct FaultCase {
  std::string fault;  // of RN_FAULT, or "mismatch"
  std::string point;  // a phase or a kind of collective, for a mismatch what differs
  int rank = 0;       // that fails
  int ranks = 2;

  std::string role() const;     // "first", "middle" or "last"
  std::string setting() const;  // RN_FAULT's value, empty for a mismatch
};
void PrintTo(const FaultCase& c, std::ostream* out);
std::string name_of(const FaultCase& c);  // for a test's name

// What a run must show after a fault.
struct Expected {
  int code = 0;            // of the contract, as failure.json has it
  int launcher_code = 0;   // mpirun's; -1: any but 0
  bool names_rank = true;  // failure.json names the rank that failed
  std::string words;       // in the message
  double seconds = 0;      // the deadline that must pass first, may pass where the launcher's code is open
};
Expected expected_of(const FaultCase& c);

// Every fault at every point, the ranks' roles and counts in turn.
std::vector<FaultCase> all_cases();
// One of them per fault, with all points among them.
std::vector<FaultCase> fast_cases();

}  // namespace rn::faults
