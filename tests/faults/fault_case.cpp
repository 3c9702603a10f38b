#include "fault_case.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/error.h"

namespace rn::faults {
namespace {

using Names = std::vector<std::string>;

// Faults of the process, at any point.
const Names kProcessFaults = {"kill",         "segv",          "bus",    "fpe",   "ill",
                              "abort",        "exit",          "vanish", "throw", "throw_data",
                              "throw_memory", "throw_numbers", "stop",   "hang",  "slow"};
// Those that more depends on: tried in a second role and count everywhere.
const Names kTwice = {"kill", "segv", "throw_data", "stop", "vanish", "exit"};
const Names kPhases = {"init", "data", "step", "eval", "checkpoint", "ending"};
const Names kCollectives = {"all_reduce", "broadcast", "all_gather", "barrier", "allocate"};
const Names kMismatches = {"barrier",    "size",  "all_reduce", "broadcast",
                           "all_gather", "dtype", "wire",       "order"};

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_phase(const std::string& point) { return contains(kPhases, point); }

// The n-th choice of who fails among how many.
FaultCase with_role(std::string fault, std::string point, std::size_t n) {
  constexpr std::array<std::array<int, 2>, 7> kRoles = {
      {{0, 2}, {1, 2}, {1, 3}, {3, 4}, {0, 3}, {2, 3}, {0, 4}}};
  const auto [rank, ranks] = kRoles[n % kRoles.size()];
  return {std::move(fault), std::move(point), rank, ranks};
}

}  // namespace

std::string FaultCase::role() const { return rank == 0 ? "first" : rank == ranks - 1 ? "last" : "middle"; }

std::string FaultCase::setting() const {
  if (fault == "mismatch") return {};
  // After the checkpoint of step 4 where the point comes again and again; slow goes on for the whole run.
  const bool late = (point == "step" || !is_phase(point)) && fault != "slow";
  return cat(fault, "@", point, ":rank=", rank, late ? ":step=5" : "", fault == "slow" ? ":seconds=0.2" : "");
}

std::string name_of(const FaultCase& c) {
  return cat(c.fault, "_at_", c.point, "_by_", c.role(), "_of_", c.ranks);
}

void PrintTo(const FaultCase& c, std::ostream* out) { *out << name_of(c) << " " << c.setting(); }

Expected expected_of(const FaultCase& c) {
  const double deadline = c.point == "init" || c.point == "ending" ? RN_INIT_DEADLINE : RN_DEADLINE;
  if (c.fault == "slow") return {.code = 0};
  // Gone before the others have seen it: mpirun reports a signal itself. An exit without an error it notices
  // only where another rank had come to MPI already (1); else the start's deadline ends the ranks that wait
  // (7).
  if (c.point == "init" && c.fault == "kill") return {.code = 8, .launcher_code = 137};
  if (c.point == "init" && c.fault == "vanish") {
    return {.code = 7, .launcher_code = -1, .names_rank = false, .seconds = deadline};
  }
  // Which of the two sides of a mismatch, or of the ranks that see wrong numbers, speaks first is open.
  if (c.fault == "mismatch") {
    return {.code = 1, .launcher_code = 1, .names_rank = false, .words = "started different collectives"};
  }
  if (c.fault == "flip")
    return {.code = 6, .launcher_code = 6, .names_rank = false, .words = "replicas differ"};
  if (c.fault == "nan") return {.code = 5, .launcher_code = 5, .names_rank = false, .words = "not finite"};
  if (c.fault == "throw") return {.code = 1, .launcher_code = 1, .words = "a fault on purpose"};
  if (c.fault == "throw_data") return {.code = 4, .launcher_code = 4, .words = "record 7 has the label 12"};
  if (c.fault == "throw_memory") return {.code = 1, .launcher_code = 1, .words = "memory"};
  if (c.fault == "throw_numbers") return {.code = 5, .launcher_code = 5, .words = "not finite"};
  if (c.fault == "kill") return {.code = 8, .launcher_code = 137, .words = "vanished without a word"};
  if (c.fault == "vanish") return {.code = 8, .launcher_code = -1, .words = "vanished without a word"};
  if (c.fault == "exit") return {.code = 8, .launcher_code = 8, .words = "left by exit()"};
  if (c.fault == "stop") return {.code = 7, .launcher_code = 7, .words = "SIGSTOP", .seconds = deadline};
  // Inside a collective all ranks look alike: started, not finished.
  if (c.fault == "hang") {
    return {.code = 7,
            .launcher_code = 7,
            .names_rank = is_phase(c.point),
            .words = "has not moved",
            .seconds = deadline};
  }
  std::string upper = "SIG";
  std::transform(c.fault.begin(), c.fault.end(), std::back_inserter(upper),
                 [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  if (c.fault == "abort") upper = "SIGABRT";
  return {.code = 8, .launcher_code = 8, .words = upper};
}

std::vector<FaultCase> all_cases() {
  std::vector<FaultCase> cases;
  std::size_t n = 0;
  for (const auto& fault : kProcessFaults) {
    for (const auto* points : {&kPhases, &kCollectives}) {
      for (const auto& point : *points) {
        cases.push_back(with_role(fault, point, n));
        if (contains(kTwice, fault)) cases.push_back(with_role(fault, point, n + 3));
        ++n;
      }
    }
  }
  for (const auto& what : kMismatches) {
    for (const std::size_t role : {1u, 2u, 6u}) cases.push_back(with_role("mismatch", what, role));
  }
  for (const std::size_t role : {0u, 2u, 3u}) {
    cases.push_back(with_role("flip", "all_reduce", role));
    cases.push_back(with_role("nan", "all_reduce", role));
  }
  return cases;
}

std::vector<FaultCase> fast_cases() {
  std::vector<FaultCase> cases;
  Names points = kCollectives;
  points.insert(points.end(), kPhases.begin(), kPhases.end());
  for (std::size_t i = 0; i < kProcessFaults.size(); ++i) {
    cases.push_back(with_role(kProcessFaults[i], points[i % points.size()], i));
  }
  for (std::size_t i = 0; i < kMismatches.size(); i += 3)
    cases.push_back(with_role("mismatch", kMismatches[i], i));
  cases.push_back(with_role("flip", "all_reduce", 1));
  cases.push_back(with_role("nan", "all_reduce", 4));
  return cases;
}

}  // namespace rn::faults
