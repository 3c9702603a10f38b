// Traces of several ranks: one document, on one clock.
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "core/error.h"
#include "dist/mpi_communicator.h"
#include "report/clock_offset.h"
#include "report/trace_file.h"

namespace rn::report {
namespace {

using Json = nlohmann::json;

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Trace::Clock::now().time_since_epoch()).count();
}

TEST(TraceMpiTest, AClockThatIsSetOtherwiseIsFoundWithinItsUncertainty) {
  dist::MpiCommunicator communicator;
  constexpr std::int64_t kPerRank = -3'600'000'000'000;  // an hour behind the rank before
  const std::int64_t skew = communicator.rank() * kPerRank;
  const auto offset = measure_clock_offset(communicator, [&] { return now() + skew; });
  EXPECT_LE(std::abs(offset.nanoseconds - skew), offset.uncertainty);
  EXPECT_LT(offset.uncertainty, 1'000'000'000);  // one round of twenty was not starved for a second
}

TEST(TraceMpiTest, TheDocumentHoldsTheSpansOfAllRanksOnOneClock) {
  dist::MpiCommunicator communicator;
  // Each rank's span is as long as one barrier, so the spans of all ranks overlap; the number of spans
  // differs.
  std::vector<Trace::Event> events;
  for (int i = 0; i <= communicator.rank(); ++i) {
    const auto start = Trace::Clock::now();
    events.push_back({Trace::Lane::kStep, cat("own ", i), start, Trace::Clock::now(), nullptr});
  }
  const auto start = Trace::Clock::now();
  communicator.barrier();
  events.push_back({Trace::Lane::kCommunication, "barrier", start, Trace::Clock::now(), nullptr});

  const Json document = gather_trace(events, communicator);
  std::set<int> ranks, named;
  std::size_t spans = 0;
  double latest_start = -1, earliest_end = 1e18, first = 1e18;
  for (const Json& event : document.at("traceEvents")) {
    if (event.at("name") == "process_name") named.insert(event.at("pid").get<int>());
    if (event.at("ph") != "X") continue;
    ++spans;
    ranks.insert(event.at("pid").get<int>());
    first = std::min(first, event.at("ts").get<double>());
    if (event.at("name") != "barrier") continue;
    latest_start = std::max(latest_start, event.at("ts").get<double>());
    earliest_end = std::min(earliest_end, event.at("ts").get<double>() + event.at("dur").get<double>());
  }
  const int size = communicator.world_size();
  EXPECT_EQ(ranks.size(), static_cast<std::size_t>(size));
  EXPECT_EQ(named, ranks);
  EXPECT_EQ(spans, static_cast<std::size_t>(size * (size + 1) / 2 + size));
  EXPECT_EQ(first, 0.0);
  EXPECT_LE(latest_start, earliest_end) << "nobody leaves a barrier before all have come";
}

}  // namespace
}  // namespace rn::report
