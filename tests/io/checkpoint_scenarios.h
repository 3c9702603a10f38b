// What is done to the checkpoints of an existing run while something goes wrong, and what may be there
// afterwards: always the old or the new checkpoint, whole.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <utility>

#include "core/error.h"
#include "io/checkpoint_fixture.h"
#include "io/checkpoint_writer.h"

namespace rn::io {

// A run with checkpoints 50, 100 (best) and 200 (last).
inline void make_existing_run(FileSystem& files, const std::string& directory) {
  CheckpointFolder folder(files, directory);
  for (const std::int64_t step : {50, 100, 200}) save_sample(folder, step);
  folder.set_best(100);
}

// save, set_best and prune on the writer's thread, as a training run does them.
inline CheckpointJob sample_job(std::int64_t step, bool best) {
  const auto state = std::make_shared<SampleState>(step, 1);
  return {step, state->contents(), sample_values(step, 1), best, state};
}

struct Scenario {
  const char* name;
  std::function<void(CheckpointFolder&)> action;
  // What may be there afterwards: pairs of last and best step, and versions of step 200.
  std::set<std::pair<std::int64_t, std::int64_t>> last_and_best;
  std::set<int> versions_of_200;
};

inline void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

inline const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = {
      {"Save", [](CheckpointFolder& folder) { save_sample(folder, 300); }, {{200, 100}, {300, 100}}, {1}},
      {"Replace", [](CheckpointFolder& folder) { save_sample(folder, 200, 2); }, {{200, 100}}, {1, 2}},
      {"SetBest", [](CheckpointFolder& folder) { folder.set_best(200); }, {{200, 100}, {200, 200}}, {1}},
      {"Prune", [](CheckpointFolder& folder) { folder.prune(1); }, {{200, 100}}, {1}},
      {"DropAfter", [](CheckpointFolder& folder) { folder.drop_after(100); }, {{200, 100}, {100, 100}}, {1}},
      {"SaveSetBestPrune",
       [](CheckpointFolder& folder) {
         save_sample(folder, 300);
         folder.set_best(300);
         folder.prune(1);
       },
       {{200, 100}, {300, 100}, {300, 300}},
       {1}},
  };
  return all;
}

// Everything that calls itself a checkpoint opens whole, and last and best are old or new.
inline void expect_whole(FileSystem& files, const std::string& directory, const Scenario& scenario) {
  const CheckpointFolder folder(files, directory);
  for (const std::int64_t step : folder.steps()) {
    try {
      const int version = load_sample(folder.load(step), step);
      if (step == 200) {
        EXPECT_TRUE(scenario.versions_of_200.contains(version)) << version;
      } else {
        EXPECT_EQ(version, 1);
      }
    } catch (const DataError& error) {
      ADD_FAILURE() << error.what();
    }
  }
  const std::pair found(folder.last().value_or(-1), folder.best().value_or(-1));
  EXPECT_TRUE(scenario.last_and_best.contains(found)) << "last " << found.first << ", best " << found.second;
}

// The next run goes on as if nothing had happened and leaves no trace of it.
inline void expect_usable(FileSystem& files, const std::string& directory) {
  CheckpointFolder folder(files, directory);
  save_sample(folder, 400);
  folder.set_best(400);
  folder.prune(1);
  EXPECT_EQ(files.list(directory), (std::vector<std::string>{"400", "best", "last"}));
  EXPECT_EQ(load_sample(load_checkpoint(files, directory + "/last"), 400), 1);
}

}  // namespace rn::io
