// The log that the tables of docs/reliability.md are made of (tools/reliability_tables.py).
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace rn::testing_support {

// Appends a line of JSON to the file that RN_POINT_LOG names, if it does: one point that was tried. `test`
// and `passed` are those of the running test. One write of a short line: several processes may append to one
// file.
inline void log_point(nlohmann::json point) {
  const char* path = std::getenv("RN_POINT_LOG");
  if (!path || !*path) return;
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  point["test"] = std::string(test->test_suite_name()) + "." + test->name();
  point["passed"] = !testing::Test::HasFailure();
  std::ofstream(path, std::ios::app) << point.dump() + '\n';
}

}  // namespace rn::testing_support
