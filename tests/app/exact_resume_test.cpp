// A run that is cut and resumed ends with the bits of the uninterrupted one.
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "app_fixture.h"
#include "core/error.h"
#include "io/safetensors.h"

namespace rn::app_testing {
namespace {

// All that carries state from step to step.
const Words kEverything = {
    "ema.enabled=true",         "swa.enabled=true",          "swa.start=0.4",
    "swa.bn_images=24",         "swa.interval_epochs=0.4",   "augment.cutout=8",
    "augment.flip=alternating", "train.label_smoothing=0.1", "train.accumulate_steps=2",
    "train.clip_norm=1.5",      "report.tensorboard=false"};

class ExactResumeTest : public AppTest {
 protected:
  // The losses of `part` must be those of `whole` after `from`, and its last checkpoint that of `whole`.
  void expect_same_end(const std::string& part, const std::string& whole, std::int64_t from,
                       std::int64_t total) const {
    auto expected = losses(whole);
    expected.erase(expected.begin(), expected.upper_bound(from));
    EXPECT_EQ(losses(part), expected) << part << " after step " << from;
    const auto ours = tensors(part, total), theirs = tensors(whole, total);
    ASSERT_EQ(ours.size(), theirs.size());
    for (const auto& [name, bytes] : theirs) {
      EXPECT_TRUE(ours.at(name) == bytes) << part << ": " << name << " differs from that of " << whole;
    }
    EXPECT_TRUE(read(part + "/model.safetensors") == read(whole + "/model.safetensors")) << part;
  }
};

struct Case {
  const char* name;
  int ranks;
  const char* precision;
  std::vector<int> cuts;
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

class ResumeFromEachStepTest : public ExactResumeTest, public testing::WithParamInterface<Case> {};

// A checkpoint is all that a resumed run knows; 7 and 13 lie inside an epoch, 5 and 10 at an epoch's end.
TEST_P(ResumeFromEachStepTest, EndsWithTheBitsOfTheUninterruptedRun) {
  const auto& [name, ranks, precision, cuts] = GetParam();
  const Words changes = kEverything + Words{cat("train.precision=", precision)};
  train_well("whole", changes + Words{"checkpoint.every_steps=1", "checkpoint.keep=100"}, ranks);
  for (const int cut : cuts) {
    const std::string part = cat("from", cut);
    train_well(part, changes + Words{cat("run.resume=whole/checkpoints/", cut)}, ranks);
    expect_same_end(part, "whole", cut, kSteps);
    const auto starts = events(part, "run_start");
    ASSERT_EQ(starts.size(), 1u);
    EXPECT_EQ(starts[0].at("resumed_from"), cut);
  }
}

INSTANTIATE_TEST_SUITE_P(
    , ResumeFromEachStepTest,
    testing::Values(Case{"fp32_alone", 0, "fp32", {1, 5, 7, 10, 14}}, Case{"bf16_alone", 0, "bf16", {7, 10}},
                    Case{"fp16_alone", 0, "fp16", {7, 10}}, Case{"fp32_1_rank", 1, "fp32", {8}},
                    Case{"fp32_2_ranks", 2, "fp32", {7, 10}}, Case{"bf16_2_ranks", 2, "bf16", {13}},
                    Case{"fp16_2_ranks", 2, "fp16", {5}}),
    [](const auto& param) { return param.param.name; });

class CutBySignalTest : public ExactResumeTest, public testing::WithParamInterface<int> {};

TEST_P(CutBySignalTest, TheSameCommandGoesOnAndEndsWithTheSameBits) {
  const int ranks = GetParam();
  constexpr int kEpochs = 45, kTotal = kEpochs * kStepsPerEpoch;
  const Words changes = long_run(kEpochs) + Words{"ema.enabled=true"};
  train_well("whole", changes, ranks);

  for (const std::int64_t cut : {20, 75, 130}) {
    auto process = start(train("cut", changes), ranks);
    ASSERT_TRUE(reaches_step(process, "cut", cut)) << "before step " << cut << ": " << process.wait().text();
    process.send(SIGUSR1);
    const auto result = process.wait();
    ASSERT_EQ(result.code, 75) << result.text();
    EXPECT_NE(result.text().find("the same command resumes there"), std::string::npos) << result.text();
    const auto stopped_at = last_checkpoint("cut");
    EXPECT_GE(stopped_at, cut);
    EXPECT_LT(stopped_at, kTotal);
    EXPECT_EQ(losses("cut").rbegin()->first, stopped_at);
    EXPECT_EQ(records("cut").back().value("exit_code", -1), 75);
    EXPECT_TRUE(failure("cut").is_null());
  }
  train_well("cut", changes, ranks);
  expect_same_end("cut", "whole", 0, kTotal);
  EXPECT_EQ(events("cut", "run_start").size(), 4u);
  EXPECT_EQ(events("cut", "epoch").size(), static_cast<std::size_t>(kEpochs));
}

INSTANTIATE_TEST_SUITE_P(, CutBySignalTest, testing::Values(0, 2), [](const auto& param) {
  return param.param == 0 ? std::string("Alone") : cat(param.param, "Ranks");
});

// An evaluation of a second or two, in which the request comes.
class CutInEvaluationTest : public ExactResumeTest, public testing::WithParamInterface<int> {};

TEST_P(CutInEvaluationTest, TheRunStopsAtItsEndAndGoesOnToTheSameBits) {
  const int ranks = GetParam();
  const Words changes = {"data.dataset=synthetic",   "data.synthetic_train=60", "data.synthetic_test=3000",
                         "train.epochs=2",           "ema.enabled=true",        "train.global_batch=12",
                         "checkpoint.every_epochs=0"};
  train_well("whole", changes, ranks);
  auto process = start(train("cut", changes), ranks);
  ASSERT_TRUE(reaches_step(process, "cut", kStepsPerEpoch)) << process.wait().text();
  process.send(SIGUSR1);  // the record of an epoch's last step stands before its evaluation begins
  const auto result = process.wait();
  ASSERT_EQ(result.code, 75) << result.text();
  EXPECT_EQ(last_checkpoint("cut"), kStepsPerEpoch);
  EXPECT_EQ(losses("cut").rbegin()->first, kStepsPerEpoch);
  EXPECT_EQ(events("cut", "eval").size(), 2u) << "raw and ema: the evaluation is whole";
  train_well("cut", changes, ranks);
  expect_same_end("cut", "whole", 0, 2 * kStepsPerEpoch);
  EXPECT_EQ(events("cut", "eval").size(), events("whole", "eval").size());
}

INSTANTIATE_TEST_SUITE_P(, CutInEvaluationTest, testing::Values(0, 2), [](const auto& param) {
  return param.param == 0 ? std::string("Alone") : cat(param.param, "Ranks");
});

TEST_F(ExactResumeTest, ATimeLimitCutsWithTheSameExactness) {
  train_well("whole");
  // Its margin for the last checkpoint is 5 s: each call stops after a step or two, and still gets ahead.
  std::int64_t before = 0;
  for (int i = 0; i < 3; ++i) {
    const auto result = call(train("cut", {"run.time_limit=5"}));
    ASSERT_EQ(result.code, 75) << result.text();
    EXPECT_GT(last_checkpoint("cut"), before);
    before = last_checkpoint("cut");
  }
  train_well("cut");
  expect_same_end("cut", "whole", 0, kSteps);
}

// ||ours - theirs|| / ||theirs|| over the weights of two runs.
double distance(const io::SafetensorsFile& ours, const io::SafetensorsFile& theirs) {
  double difference = 0, norm = 0;
  for (const auto& tensor : theirs.tensors) {
    if (tensor.dtype != DType::kF32) continue;
    const auto* other = ours.find(tensor.name);
    if (other == nullptr || other->bytes.size() != tensor.bytes.size()) return INFINITY;
    for (std::size_t i = 0; i + sizeof(float) <= tensor.bytes.size(); i += sizeof(float)) {
      float a, b;
      std::memcpy(&a, other->bytes.data() + i, sizeof a);
      std::memcpy(&b, tensor.bytes.data() + i, sizeof b);
      difference += std::pow(double{a} - double{b}, 2);
      norm += double{b} * double{b};
    }
  }
  EXPECT_GT(norm, 1);
  return std::sqrt(difference / norm);
}

// Rounding alone leaves some 1e-8. Where it moves the input of a ReLU over zero, the gradient jumps, and the
// runs part by up to 1e-3: that happens with few seeds, and says nothing about ranks.
TEST_F(ExactResumeTest, AtAnotherRankCountTheEndAgreesToRounding) {
  std::map<int, double> nearest = {{2, INFINITY}, {3, INFINITY}};  // by ranks
  for (const int seed : {1, 2}) {
    const Words changes =
        kGroupNorm + Words{"train.global_batch=48",    "optimizer.lr=0.01",   "train.epochs=13",
                           "checkpoint.every_steps=1", "checkpoint.keep=100", cat("run.seed=", seed)};
    const std::string whole = cat("whole", seed);
    train_well(whole, changes);
    auto& files = io::posix_file_system();
    const auto theirs = io::read_safetensors(files, path(whole + "/model.safetensors"));
    for (auto& [ranks, least] : nearest) {
      const std::string part = cat("with", ranks, "_", seed);
      train_well(part, changes + Words{cat("run.resume=", whole, "/checkpoints/6")},
                 ranks);  // 20 steps to go
      least =
          std::min(least, distance(io::read_safetensors(files, path(part + "/model.safetensors")), theirs));
    }
  }
  for (const auto& [ranks, least] : nearest) EXPECT_LE(least, 1e-5) << ranks << " ranks";
}

}  // namespace
}  // namespace rn::app_testing
