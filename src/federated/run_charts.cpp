#include "federated/run_charts.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "io/atomic_file.h"
#include "report/charts.h"

namespace rn::federated {
namespace {

using Json = nlohmann::json;
using Curves = std::map<std::string, report::Curve>;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;

struct History {
  Curves accuracy, loss;                     // by name
  std::map<std::int64_t, double> simulated;  // seconds since the start, by round
};

// NaN where the record has no such number, as for one that was not finite.
double number_of(const Json& record, const char* key) {
  const auto found = record.find(key);
  return found != record.end() && found->is_number() ? found->get<double>() : std::nan("");
}

void add_point(Curves& curves, const std::string& name, double x, double y) {
  auto& curve = curves[name];
  curve.name = name;
  // An evaluation at the end may repeat that of the last round.
  if (!curve.x.empty() && curve.x.back() >= x) return;
  curve.x.push_back(x);
  curve.y.push_back(y);
}

void add_record(const Json& record, History& history) {
  const auto event = record.find("event");
  if (event == record.end() || !event->is_string()) return;
  if (*event == "round") {
    const double round = number_of(record, "round");
    if (!std::isfinite(round)) return;
    add_point(history.loss, "training", round, number_of(record, "train_loss"));
    const double seconds = number_of(record, "simulated_seconds");
    if (std::isfinite(seconds)) history.simulated[std::llround(round)] = seconds;
  } else if (*event == "eval") {
    const double round = number_of(record, "step");
    const auto split = record.find("split");
    if (!std::isfinite(round) || split == record.end() || !split->is_string()) return;
    add_point(history.accuracy, *split, round, number_of(record, "top1"));
    add_point(history.loss, *split, round, number_of(record, "loss"));
  }
}

History read_history(std::string_view text) {
  History history;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto record = Json::parse(text.substr(0, end), nullptr, /*allow_exceptions=*/false);
    if (record.is_object()) add_record(record, history);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return history;
}

std::vector<report::Curve> listed(const Curves& curves) {
  std::vector<report::Curve> list;
  for (const auto& [name, curve] : curves) list.push_back(curve);
  return list;
}

// The accuracies over the time at which their rounds ended; the start is at zero.
std::vector<report::Curve> over_time(const History& history) {
  std::vector<report::Curve> list;
  for (const auto& [name, curve] : history.accuracy) {
    report::Curve timed{name, {}, {}};
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      const auto round = std::llround(curve.x[i]);
      const auto at = history.simulated.find(round);
      if (round > 0 && at == history.simulated.end()) continue;
      timed.x.push_back(round == 0 ? 0.0 : at->second);
      timed.y.push_back(curve.y[i]);
    }
    if (!timed.x.empty()) list.push_back(std::move(timed));
  }
  return list;
}

}  // namespace

std::vector<std::string> write_run_charts(io::FileSystem& files, const std::string& run_dir) {
  const auto bytes = files.read(run_dir + "/metrics.jsonl", kMostBytes);
  const auto history = read_history({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const std::string folder = run_dir + "/plots";
  files.make_directory(folder);
  std::vector<std::string> written;
  const auto write = [&](const std::string& name, const report::LineChart& chart) {
    if (chart.curves.empty()) return;
    io::write_file_atomically(files, folder + "/" + name, report::line_chart_svg(chart));
    written.push_back(folder + "/" + name);
  };
  write("accuracy.svg",
        {"Accuracy of the server's weights", "round", "top-1 in %", listed(history.accuracy), true, true});
  write("loss.svg", {"Loss", "round", "mean cross entropy", listed(history.loss), true, true});
  const bool takes_time = !history.simulated.empty() && history.simulated.rbegin()->second > 0;
  if (takes_time) {
    write("simulated_time.svg",
          {"Accuracy over simulated time", "simulated seconds", "top-1 in %", over_time(history), true});
  }
  return written;
}

}  // namespace rn::federated
