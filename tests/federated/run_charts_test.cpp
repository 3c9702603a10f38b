#include "federated/run_charts.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "core/error.h"
#include "support/temporary_directory.h"

namespace rn::federated {
namespace {

class RunChartsTest : public testing::Test {
 protected:
  std::vector<std::string> write(const std::string& metrics) const {
    std::ofstream(folder_ / "metrics.jsonl") << metrics;
    return write_run_charts(io::posix_file_system(), folder_.path());
  }
  std::string svg(const std::string& name) const {
    std::ifstream file(folder_ / "plots/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  testing_support::TemporaryDirectory folder_;
};

TEST_F(RunChartsTest, DrawsAccuracyLossAndSimulatedTime) {
  const auto files = write(R"({"event":"run_start","config":{}}
{"event":"round","round":1,"train_loss":2.25,"simulated_seconds":40}
{"event":"eval","step":1,"split":"test","top1":30,"loss":2.0}
{"event":"round","round":2,"train_loss":1.5,"simulated_seconds":90}
{"event":"eval","step":2,"split":"test","top1":41.5,"loss":1.25}
{"event":"eval","step":2,"split":"test","top1":41.5,"loss":1.25}
)");
  EXPECT_EQ(files.size(), 3U);
  EXPECT_NE(svg("accuracy.svg").find("test, 2: 41.5<"), std::string::npos);
  EXPECT_NE(svg("loss.svg").find("training, 1: 2.25<"), std::string::npos);
  EXPECT_NE(svg("loss.svg").find("test, 2: 1.25<"), std::string::npos);
  EXPECT_NE(svg("simulated_time.svg").find("test, 90: 41.5<"), std::string::npos);
}

TEST_F(RunChartsTest, WithoutSimulatedTimeThereIsNoSuchChart) {
  const auto files = write(R"({"event":"round","round":1,"train_loss":2.25,"simulated_seconds":0}
{"event":"eval","step":1,"split":"test","top1":30,"loss":2.0}
)");
  EXPECT_EQ(files, (std::vector<std::string>{folder_ / "plots/accuracy.svg", folder_ / "plots/loss.svg"}));
}

TEST_F(RunChartsTest, PassesOverWhatIsNoRecord) {
  const auto files = write(R"(not json
[1, 2]
{"event": 5}
{"event":"round"}
{"event":"round","round":1,"train_loss":null}
{"event":"round","round":2,"train_loss":3}
{"event":"eval","step":1,"split":7}
{"event":"round","round":3,"train)");
  EXPECT_EQ(files, (std::vector<std::string>{folder_ / "plots/loss.svg"}));
  EXPECT_NE(svg("loss.svg").find("training, 2: 3<"), std::string::npos);
}

TEST_F(RunChartsTest, WithoutMetricsItSaysSo) {
  EXPECT_THROW(write_run_charts(io::posix_file_system(), folder_ / "absent"), Error);
}

}  // namespace
}  // namespace rn::federated
