// report.trace: what trace.json holds, and that it changes nothing.
#include <algorithm>
#include <filesystem>
#include <set>

#include "app_fixture.h"

namespace rn::app_testing {
namespace {

struct Span {
  std::string name;
  int rank = 0;
  double start = 0, end = 0;  // microseconds

  bool overlaps(const Span& other) const { return start < other.end && other.start < end; }
};

class TraceTest : public AppTest {
 protected:
  // The spans of one lane of trace.json by their start, longer ones first.
  std::vector<Span> spans(const std::string& run, const std::string& lane) const {
    std::vector<Span> found;
    const Json document = Json::parse(read(run + "/trace.json"));
    for (const Json& event : document.at("traceEvents")) {
      if (event.at("ph") != "X" || event.at("cat") != lane) continue;
      const double start = event.at("ts").get<double>();
      found.push_back({event.at("name"), event.at("pid"), start, start + event.at("dur").get<double>()});
    }
    std::sort(found.begin(), found.end(), [](const Span& a, const Span& b) {
      return a.start != b.start ? a.start < b.start : a.end > b.end;
    });
    return found;
  }

  static std::map<std::string, int> count(const std::vector<Span>& spans, int rank) {
    std::map<std::string, int> counts;
    for (const Span& span : spans) counts[span.name] += span.rank == rank;
    return counts;
  }

  // Two spans of a rank's lane are one within the other, or apart.
  static void expect_nesting(const std::vector<Span>& spans) {
    std::map<int, std::vector<Span>> open;
    constexpr double kRounding = 2e-3;  // a nanosecond on each side
    for (const Span& span : spans) {
      auto& stack = open[span.rank];
      while (!stack.empty() && stack.back().end <= span.start + kRounding) stack.pop_back();
      if (!stack.empty()) {
        EXPECT_LE(span.end, stack.back().end + kRounding)
            << span.name << " crosses the end of " << stack.back().name << " on rank " << span.rank;
      }
      stack.push_back(span);
    }
  }
};

const Words kSmallBuckets = {"dist.bucket_mib=0.001"};

TEST_F(TraceTest, ATraceOfTwoRanksNestsAndShowsCommunicationDuringBackward) {
  train_well("run", kSmallBuckets + Words{"report.trace=100", "eval.every_epochs=1", "ema.enabled=true"}, 2);
  const auto steps = spans("run", "step"), communication = spans("run", "communication");
  expect_nesting(steps);
  expect_nesting(communication);
  for (int rank = 0; rank < 2; ++rank) {
    auto counts = count(steps, rank);
    for (const char* name :
         {"step", "data", "forward", "backward", "wait for all-reduce", "optimizer", "averages"}) {
      EXPECT_EQ(counts[name], kSteps) << name << " on rank " << rank;
    }
    EXPECT_GE(counts["vote"], kSteps);
    EXPECT_EQ(counts["evaluation"], 3);
    EXPECT_GE(counts["checkpoint"], 1);
    auto collectives = count(communication, rank);
    EXPECT_EQ(collectives["bucket 0"], kSteps);
    EXPECT_EQ(collectives["statistics"], kSteps);
    EXPECT_EQ(collectives["vote"], kSteps);
  }
  const bool overlap = std::any_of(steps.begin(), steps.end(), [&](const Span& step) {
    return step.name == "backward" &&
           std::any_of(communication.begin(), communication.end(), [&](const Span& collective) {
             return collective.rank == step.rank && collective.name.starts_with("bucket") &&
                    collective.overlaps(step);
           });
  });
  EXPECT_TRUE(overlap) << "no bucket was summed while backward ran";
}

TEST_F(TraceTest, ATracedRunComputesTheSameBits) {
  for (const int ranks : {0, 2}) {
    const std::string plain = ranks == 0 ? "plain" : "plain2", traced = ranks == 0 ? "traced" : "traced2";
    train_well(plain, {}, ranks);
    train_well(traced, {"report.trace=6", "report.trace_first_step=4"}, ranks);
    EXPECT_EQ(losses(plain), losses(traced));
    EXPECT_EQ(tensors(plain, kSteps), tensors(traced, kSteps));
    EXPECT_FALSE(std::filesystem::exists(path(plain + "/trace.json")));
    EXPECT_EQ(count(spans(traced, "step"), 0)["step"], 6);
  }
}

}  // namespace
}  // namespace rn::app_testing
