// `report:` of the configuration.
#pragma once

#include <cstdint>
#include <string>

namespace rn::report {

struct ReportOptions {
  std::int64_t every_steps = 50;  // a `step` record and a progress line every so many steps
  bool tensorboard = true;
  std::int64_t trace = 0;             // steps to record into trace.json; 0: none
  std::int64_t trace_first_step = 1;  // from which step on, counted from 1
  std::string progress = "auto";      // auto: a live line on a terminal, plain lines elsewhere | plain | none
};

}  // namespace rn::report
