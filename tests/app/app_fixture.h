// Runs of the program in a temporary folder, on a synthetic set of 50 training and 20 test images.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "process.h"
#include "support/temporary_directory.h"

namespace rn::app_testing {

using Words = std::vector<std::string>;
using Json = nlohmann::json;

// The base configuration: resnet9 of width 4, global batch 12 (5 steps per epoch, the last of 2 images), 3
// epochs, fp32, one thread, a record per step.
constexpr int kStepsPerEpoch = 5;
constexpr int kSteps = 3 * kStepsPerEpoch;

// Group norm for the base configuration: the numbers do not depend on the rank count.
inline const Words kGroupNorm = {"model.norm=group", "model.group_norm_groups=2"};
// A run of `epochs` that writes and evaluates little on the way, for being stopped and resumed.
Words long_run(int epochs);

Words operator+(Words a, const Words& b);

class AppTest : public testing::Test {
 protected:
  AppTest();

  // The words of a run in folder `run` of the temporary folder.
  Words train(const std::string& run, const Words& changes = {}) const;
  // Runs the program with `words`; `ranks` 0: without mpirun.
  Result call(const Words& words, int ranks = 0) const;
  Process start(const Words& words, int ranks = 0) const;
  // Trains and expects exit code 0.
  Result train_well(const std::string& run, const Words& changes = {}, int ranks = 0) const;

  std::string path(const std::string& name) const { return folder_ / name; }
  static const std::string& data_root();

  // metrics.jsonl of a run; every line must be one JSON object.
  std::vector<Json> records(const std::string& run) const;
  std::vector<Json> events(const std::string& run, const std::string& event) const;
  // Losses by step. Fails where a step stands twice.
  std::map<std::int64_t, double> losses(const std::string& run) const;
  std::int64_t last_checkpoint(const std::string& run) const;  // the step that `last` points to; -1: none
  Json failure(const std::string& run) const;                  // failure.json; null: there is none
  // Names and bytes of all .safetensors files of a checkpoint.
  std::map<std::string, std::string> tensors(const std::string& run, std::int64_t step) const;
  // What `run` holds: relative names with their size and time of change, hidden ones left out.
  std::map<std::string, std::string> listing(const std::string& run) const;
  std::string read(const std::string& name) const;
  void write(const std::string& name, const std::string& text) const;

  // Waits until a run has recorded `step`. False: it ended before, or nothing came within a minute.
  bool reaches_step(Process& process, const std::string& run, std::int64_t step) const;

  // Waits until a checkpoint of the run stands: they are written beside the training. False as above.
  bool reaches_checkpoint(Process& process, const std::string& run) const;

  const testing_support::TemporaryDirectory folder_;
};

}  // namespace rn::app_testing
