#include "report/trace.h"

#include <gtest/gtest.h>

#include "dist/single_communicator.h"
#include "report/trace_file.h"
#include "scratch_folder.h"

namespace rn::report {
namespace {

using Lane = Trace::Lane;
using Json = nlohmann::json;
using std::chrono::microseconds;

ReportOptions traced(std::int64_t steps, std::int64_t first_step) {
  ReportOptions options;
  options.trace = steps;
  options.trace_first_step = first_step;
  return options;
}

// The steps in which spans are recorded, of the steps start, start + 1, ..., 20.
std::vector<std::int64_t> recorded_steps(Trace trace, std::int64_t start) {
  std::vector<std::int64_t> steps;
  for (std::int64_t step = start; step <= 20; ++step) {
    trace.begin_step(step);
    {
      const TraceSpan span(&trace, "step", step);
    }
    if (!trace.ends_with(step)) continue;
    for (const auto& event : trace.take()) steps.push_back(event.args.at("step"));
  }
  EXPECT_FALSE(trace.recording());
  return steps;
}

using Steps = std::vector<std::int64_t>;

TEST(TraceTest, RecordsTheStepsAskedForAndNoOthers) {
  EXPECT_EQ(recorded_steps(Trace(traced(3, 5), 1), 1), (Steps{5, 6, 7}));
  EXPECT_EQ(recorded_steps(Trace(traced(1, 1), 1), 1), (Steps{1}));
  EXPECT_EQ(recorded_steps(Trace(traced(0, 1), 1), 1), Steps{});
  EXPECT_EQ(recorded_steps(Trace(), 1), Steps{});
}

TEST(TraceTest, ARunResumedBehindTheFirstStepRecordsAsMany) {
  EXPECT_EQ(recorded_steps(Trace(traced(3, 5), 12), 12), (Steps{12, 13, 14}));
  EXPECT_EQ(recorded_steps(Trace(traced(3, 15), 12), 12), (Steps{15, 16, 17}));
}

TEST(TraceTest, ASpanOfNoTraceOrOneBegunBeforeItLeavesNothing) {
  {
    const TraceSpan span(nullptr, "forward");
  }
  Trace trace(traced(1, 1), 1);
  {
    const TraceSpan early(&trace, "start-up");
    trace.begin_step(1);
    const TraceSpan inner(&trace, "forward");
  }
  const auto events = trace.take();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].name, "forward");
  EXPECT_LE(events[0].start, events[0].end);
  EXPECT_TRUE(trace.take().empty());
}

TEST(TraceFileTest, SpansBecomeCompleteEventsInMicrosecondsSinceTheFirst) {
  const auto start = Trace::Clock::now() - std::chrono::seconds(1);
  const std::vector<Trace::Event> events = {
      {Lane::kStep, "step", start + microseconds(5), start + microseconds(95), {{"step", 7}}},
      {Lane::kCommunication, "bucket 0", start, start + std::chrono::nanoseconds(1250), nullptr}};
  dist::SingleCommunicator communicator;
  const Json document = gather_trace(events, communicator);
  std::map<std::string, Json> by_name;
  for (const Json& event : document.at("traceEvents")) {
    if (event.at("ph") == "X") by_name[event.at("name")] = event;
  }
  ASSERT_EQ(by_name.size(), 2U) << document.dump(1);
  EXPECT_EQ(by_name["step"], (Json{{"ph", "X"},
                                   {"name", "step"},
                                   {"cat", "step"},
                                   {"pid", 0},
                                   {"tid", 0},
                                   {"ts", 5.0},
                                   {"dur", 90.0},
                                   {"args", {{"step", 7}}}}));
  EXPECT_EQ(by_name["bucket 0"].at("ts"), 0.0);
  EXPECT_EQ(by_name["bucket 0"].at("dur"), 1.25);
  EXPECT_EQ(by_name["bucket 0"].at("tid"), 1);
  EXPECT_FALSE(by_name["bucket 0"].contains("args"));
}

TEST(TraceFileTest, AFolderThatIsGoneIsWarnedAboutAndNothingThrown) {
  dist::SingleCommunicator communicator;
  const ScratchFolder folder;
  EXPECT_NO_THROW(write_trace({}, communicator, folder / "missing"));
  EXPECT_NO_THROW(write_trace({}, communicator, folder.path()));
  EXPECT_TRUE(Json::parse(read_text(folder / "trace.json")).at("traceEvents").is_array());
}

}  // namespace
}  // namespace rn::report
