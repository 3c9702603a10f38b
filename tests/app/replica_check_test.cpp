// A bit flipped in the memory of a running rank ends the run before a checkpoint can hold it.
#include <cstring>
#include <filesystem>

#include "app_fixture.h"
#include "core/error.h"
#include "io/safetensors.h"
#include "rank_memory.h"

namespace rn::app_testing {
namespace {

constexpr char kTensor[] = "fc.weight";
// Far apart: a flip between two checkpoints meets no copy that is being written.
constexpr std::int64_t kCheckpointSteps = 400;

class ReplicaCheckTest : public AppTest {
 protected:
  // A learning rate of zero keeps the weights at their first values, so that a test knows the bytes to look
  // for; all else of a step is as ever.
  static Words frozen(const Words& changes) {
    return Words{"train.epochs=2000",
                 "optimizer.lr=0",
                 "eval.every_epochs=0",
                 "report.tensorboard=false",
                 "checkpoint.every_epochs=0",
                 "checkpoint.keep=1000",
                 cat("checkpoint.every_steps=", kCheckpointSteps)} +
           changes;
  }

  std::string weights_in(const std::string& file) const {
    const auto read = io::read_safetensors(io::posix_file_system(), path(file));
    const io::TensorView* tensor = read.find(kTensor);
    RN_CHECK(tensor != nullptr, file, " has no ", kTensor);
    return {reinterpret_cast<const char*>(tensor->bytes.data()), tensor->bytes.size()};
  }

  std::vector<std::int64_t> checkpoints(const std::string& run) const {
    std::vector<std::int64_t> steps;
    for (const auto& entry : std::filesystem::directory_iterator(path(run + "/checkpoints"))) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") == std::string::npos) steps.push_back(std::stoll(name));
    }
    return steps;
  }

  // Starts `run`, flips a bit of rank `culprit` behind the first checkpoint, and expects its end with exit
  // code 6, whole checkpoints from before it, and that the same command goes on from them. Returns
  // failure.json.
  Json end_by_flip(const std::string& run, const Words& changes, int ranks, int culprit) {
    auto process = start(train(run, changes), ranks);
    if (!reaches_checkpoint(process, run)) {
      ADD_FAILURE() << process.wait().text();
      return {};
    }
    const std::string clean = weights_in(cat(run, "/checkpoints/", kCheckpointSteps, "/model.safetensors"));
    const pid_t pid = rank_process(process.pid(), culprit);
    EXPECT_GT(pid, 0);
    const int places = flip_bit(pid, clean, /*at=*/22, /*bit=*/5);
    if (places < 0) {
      may_flip_ = false;
      return {};
    }
    EXPECT_GT(places, 0) << kTensor << " was not found in the memory of rank " << culprit;
    const auto result = process.wait(std::chrono::seconds(60));
    EXPECT_EQ(result.code, 6) << result.text();
    const std::string words = "the replicas differ after step";
    const auto at = result.err.find(words);
    EXPECT_NE(at, std::string::npos) << result.err;
    EXPECT_EQ(result.err.find(words, at + 1), std::string::npos) << "said twice: " << result.err;

    const Json report = failure(run);
    if (report.is_null()) {
      ADD_FAILURE() << "no failure.json: " << result.text();
      return {};
    }
    EXPECT_EQ(report.at("code"), 6);
    EXPECT_EQ(last_checkpoint(run) % kCheckpointSteps, 0);
    for (const std::int64_t step : checkpoints(run)) {
      EXPECT_LT(step, report.at("step").get<std::int64_t>());
      EXPECT_EQ(weights_in(cat(run, "/checkpoints/", step, "/model.safetensors")), clean) << step;
    }
    const std::int64_t from = last_checkpoint(run);
    train_well(run, changes + Words{cat("train.max_steps=", from + 5)}, ranks);
    EXPECT_EQ(events(run, "run_start").back().at("resumed_from"), from);
    EXPECT_EQ(weights_in(run + "/model.safetensors"), clean);
    return report;
  }

  bool may_flip_ = true;
};

TEST_F(ReplicaCheckTest, AFlippedBitIsNamedAtTheNextCheck) {
  for (const int culprit : {0, 2}) {
    const std::string run = cat("run", culprit);
    const Json report = end_by_flip(run, frozen({"train.replica_check_steps=1"}), 3, culprit);
    if (!may_flip_) GTEST_SKIP() << "this user may not write another process's memory";
    ASSERT_FALSE(report.is_null());
    const std::string message = report.at("message");
    EXPECT_NE(message.find(
                  cat("model/", kTensor, " of rank ", culprit, " differs from that of the other 2 ranks; ")),
              std::string::npos)
        << message;
    EXPECT_EQ(report.at("rank"), culprit);
  }
}

TEST_F(ReplicaCheckTest, WithoutChecksBetweenThemEveryCheckpointIsStillChecked) {
  // Rank 0 would write it.
  const Json report = end_by_flip("run", frozen({"train.replica_check_steps=0"}), 2, 0);
  if (!may_flip_) GTEST_SKIP() << "this user may not write another process's memory";
  ASSERT_FALSE(report.is_null());
  const std::string message = report.at("message");
  EXPECT_NE(message.find(cat("model/", kTensor, " differs, rank 0 against rank 1")), std::string::npos)
      << message;
  EXPECT_EQ(report.at("step").get<std::int64_t>() % kCheckpointSteps, 0) << "a step with a checkpoint";
  EXPECT_EQ(report.at("phase"), "checkpoint");
}

}  // namespace
}  // namespace rn::app_testing
