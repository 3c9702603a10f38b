// Runs a command that has a fault in it, and looks at what is left.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/process.h"

namespace rn::faults {

struct FaultRun {
  app_testing::Result result;
  double seconds_after_fault = -1;  // until the launcher had ended; -1: the fault never came
  nlohmann::json failure;           // failure.json; null: there is none
};

// `command` in `folder`, with RN_FAULT=`setting` (empty: none); `run_dir` is the run's folder. Fails the test
// where a process that knows `run_dir` by its command line lives on 5 s after the launcher.
FaultRun run_with_fault(const std::vector<std::string>& command, const std::string& setting,
                        const std::string& folder, const std::string& run_dir);

// Processes with `run_dir` in their command line: the launcher and the ranks of a run.
std::vector<int> processes_of(const std::string& run_dir);

// What `rn_dist doctor --flight` would say; empty where there is no record.
std::string flight_words(const std::string& run_dir);

}  // namespace rn::faults
