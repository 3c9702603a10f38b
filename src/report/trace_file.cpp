#include "report/trace_file.h"

#include <algorithm>
#include <chrono>

#include "core/error.h"
#include "core/host_name.h"
#include "core/log.h"
#include "io/atomic_file.h"
#include "io/file_system.h"
#include "report/clock_offset.h"

namespace rn::report {
namespace {

using Json = nlohmann::json;

std::int64_t nanoseconds_of(Trace::Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

double microseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e3; }

const char* name_of(Trace::Lane lane) { return lane == Trace::Lane::kStep ? "step" : "communication"; }

std::vector<std::int64_t> gather(std::int64_t mine, Communicator& communicator) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(communicator.world_size()));
  communicator.all_gather(std::as_bytes(std::span(&mine, 1)), bytes_of(std::span(all))).wait();
  return all;
}

// The texts of all ranks, which may differ in length.
std::vector<std::string> gather(std::string mine, Communicator& communicator) {
  const auto sizes = gather(static_cast<std::int64_t>(mine.size()), communicator);
  const auto widest = static_cast<std::size_t>(*std::max_element(sizes.begin(), sizes.end()));
  mine.resize(widest);
  std::string all(widest * sizes.size(), '\0');
  communicator.all_gather(std::as_bytes(std::span(mine)), bytes_of(std::span(all))).wait();
  std::vector<std::string> texts;
  for (std::size_t rank = 0; rank < sizes.size(); ++rank) {
    texts.push_back(all.substr(rank * widest, static_cast<std::size_t>(sizes[rank])));
  }
  return texts;
}

Json metadata(const char* kind, int rank, int lane, const Json& args) {
  return {{"ph", "M"}, {"name", kind}, {"pid", rank}, {"tid", lane}, {"args", args}};
}

// This rank's rows and spans, its times moved by `shift` onto the document's clock.
Json rank_events(const std::vector<Trace::Event>& events, int rank, std::int64_t shift,
                 std::int64_t uncertainty) {
  Json list = Json::array();
  list.push_back(metadata("process_name", rank, 0, {{"name", cat("rank ", rank, " on ", host_name())}}));
  list.push_back(metadata("process_sort_index", rank, 0, {{"sort_index", rank}}));
  if (uncertainty > 0) {
    list.push_back(
        metadata("process_labels", rank, 0,
                 {{"labels", cat("clock within ", microseconds(uncertainty), " us of rank 0's")}}));
  }
  for (const Trace::Lane lane : {Trace::Lane::kStep, Trace::Lane::kCommunication}) {
    list.push_back(metadata("thread_name", rank, static_cast<int>(lane), {{"name", name_of(lane)}}));
  }
  for (const Trace::Event& event : events) {
    Json entry = {{"ph", "X"},
                  {"name", event.name},
                  {"cat", name_of(event.lane)},
                  {"pid", rank},
                  {"tid", static_cast<int>(event.lane)},
                  {"ts", microseconds(nanoseconds_of(event.start) + shift)},
                  {"dur", microseconds(nanoseconds_of(event.end) - nanoseconds_of(event.start))}};
    if (!event.args.is_null()) entry["args"] = event.args;
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

Json gather_trace(const std::vector<Trace::Event>& events, Communicator& communicator) {
  const ClockOffset offset =
      measure_clock_offset(communicator, [] { return nanoseconds_of(Trace::Clock::now()); });
  std::int64_t first = nanoseconds_of(Trace::Clock::now());
  for (const auto& event : events) first = std::min(first, nanoseconds_of(event.start));
  const auto firsts = gather(first - offset.nanoseconds, communicator);  // on rank 0's clock
  const std::int64_t origin = *std::min_element(firsts.begin(), firsts.end());
  const Json mine =
      rank_events(events, communicator.rank(), -offset.nanoseconds - origin, offset.uncertainty);
  Json all = Json::array();
  for (const std::string& text : gather(mine.dump(), communicator)) {
    for (Json& event : Json::parse(text)) all.push_back(std::move(event));
  }
  return {{"displayTimeUnit", "ms"}, {"traceEvents", std::move(all)}};
}

void write_trace(const std::vector<Trace::Event>& events, Communicator& communicator,
                 const std::string& run_dir) {
  const Json document = gather_trace(events, communicator);
  if (communicator.rank() != 0) return;
  const std::string path = run_dir + "/trace.json";
  try {
    io::write_file_atomically(io::posix_file_system(), path, document.dump() + "\n");
    log_info("[report] ", path, ": the traced steps, for https://ui.perfetto.dev");
  } catch (const std::exception& error) {
    log_warning("[report] the trace is not written: ", error.what());
  }
}

}  // namespace rn::report
