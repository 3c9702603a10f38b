// A checkpointer over a whole sample state and a disk in memory.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "dist/launch_env.h"
#include "report/run_report.h"
#include "sample_state.h"
#include "support/hooked_file_system.h"
#include "support/memory_file_system.h"
#include "train/checkpointer.h"

namespace rn::train::testing {

struct CheckpointedRun {
  explicit CheckpointedRun(Communicator& host, CheckpointerOptions options = {},
                           const std::string& report_dir = "")
      : report({.tensorboard = false, .progress = "none"}, report_dir, !report_dir.empty(), -1),
        checkpointer(std::move(options), host, board, sample.state, folder, report) {
    sample.state.progress.best_step = -1;
    sample.state.progress.best_metric = -1;
    at_step(100);
  }
  void at_step(std::int64_t step) { sample.state.progress.step = step; }
  // From now on the disk is full, until heal().
  void fill_disk() { memory.fill_disk_at(memory.operations()); }

  SampleState sample{1};
  testing_support::MemoryFileSystem memory;
  testing_support::HookedFileSystem::Hook hook = [](const std::string&, const std::string&) {};
  testing_support::HookedFileSystem files{
      memory, [this](const std::string& operation, const std::string& path) { hook(operation, path); }};
  io::CheckpointFolder folder{files, "/run/checkpoints"};
  dist::ProgressBoard board{dist::LaunchEnv{}};
  report::RunReport report;
  Checkpointer checkpointer;
};

}  // namespace rn::train::testing
