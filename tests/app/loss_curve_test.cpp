// ResNet-18 on the real images: the loss curve of 4 ranks is that of 1.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include "app_fixture.h"
#include "core/error.h"

namespace rn::app_testing {
namespace {

constexpr std::int64_t kCurveSteps = 50;
constexpr double kTolerance = 1e-3;  // of a loss around 2.3, absolute

// Note [Gentle start]. Two runs differ by float32's rounding, 1e-7 of the loss. Training multiplies that: at
// the learning rates that train fastest, the first steps of a fresh network are chaotic (at 0.01 without
// warm-up by about 10 a step), and two runs of any program that sums in another order soon differ visibly.
// Here the residual blocks start as identities, the gradient is clipped and the rate is low and constant:
// the loss falls, rounding stays below 1e-4, and a fault that changes the update by 2 % exceeds 1e-3.
const Words kGentle = {"model.norm=group",         "model.zero_init_residual=true",
                       "augment.crop_padding=4",   "train.precision=fp32",
                       "train.threads=1",          "train.global_batch=32",
                       "train.clip_norm=1",        "schedule.name=constant",
                       "optimizer.lr=0.005",       "report.every_steps=1",
                       "report.tensorboard=false", "report.progress=none",
                       "eval.every_epochs=0",      "checkpoint.every_epochs=0"};

class LossCurveTest : public AppTest {
 protected:
  Process start_run(const std::string& run, int ranks, const std::string& root) const {
    const Words words = {cat(RN_SOURCE_DIR, "/configs/train_4_epochs.yaml"), "data.root=" + root,
                         "run.dir=" + run};
    return start(words + kGentle, ranks);
  }

  // Stops a run once its curve is recorded: that spares the evaluation at a run's end.
  void stop_after_curve(Process& process, const std::string& run) const {
    const std::string wanted = cat("{\"event\":\"step\",\"step\":", kCurveSteps, ",");
    const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(8);
    while (process.is_running() && std::chrono::steady_clock::now() < limit) {
      if (read(run + "/metrics.jsonl").find(wanted) != std::string::npos) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    if (process.is_running()) process.send(SIGUSR1);
    const Result result = process.wait();
    EXPECT_EQ(result.code, 75) << run << ": " << result.text();
  }

  std::vector<double> curve_of(const std::string& run) const {
    std::vector<double> curve;
    for (const auto& [step, loss] : losses(run)) {
      if (step > kCurveSteps) break;
      EXPECT_EQ(step, static_cast<std::int64_t>(curve.size()) + 1) << run;
      curve.push_back(loss);
    }
    return curve;
  }
};

double mean_of_10(const std::vector<double>& losses, std::size_t first) {
  double sum = 0;
  for (std::size_t i = first; i < first + 10; ++i) sum += losses.at(i);
  return sum / 10;
}

TEST_F(LossCurveTest, Of1And4RanksOnRealImagesAgreesOver50StepsWhileTheLossFalls) {
  const char* variable = std::getenv("RN_CIFAR10_DIR");
  if (variable == nullptr || *variable == '\0') {
    const char* required = std::getenv("RN_REQUIRE_DATA");
    if (required != nullptr && std::string(required) == "1") FAIL() << "RN_CIFAR10_DIR is not set";
    GTEST_SKIP() << "RN_CIFAR10_DIR is not set";
  }
  const std::string root = std::filesystem::absolute(variable);
  Process one = start_run("np1", 1, root), four = start_run("np4", 4, root);
  stop_after_curve(four, "np4");
  stop_after_curve(one, "np1");

  const auto expected = curve_of("np1"), found = curve_of("np4");
  ASSERT_EQ(expected.size(), static_cast<std::size_t>(kCurveSteps));
  ASSERT_EQ(found.size(), expected.size());
  double largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], kTolerance) << "step " << i + 1;
    largest = std::max(largest, std::abs(found[i] - expected[i]));
  }
  const double start = mean_of_10(expected, 0), end = mean_of_10(expected, 40);
  std::cout << "largest difference of the losses of 1 and 4 ranks over 50 steps: " << largest
            << "; mean loss of steps 1 to 10: " << start << ", of steps 41 to 50: " << end << '\n';
  EXPECT_LT(end, start - 0.03);
  EXPECT_EQ(events("np1", "run_start").at(0).at("world_size"), 1);
  EXPECT_EQ(events("np4", "run_start").at(0).at("world_size"), 4);
}

}  // namespace
}  // namespace rn::app_testing
