#include "app/flight_command.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.h"
#include "dist/flight_analysis.h"
#include "dist/flight_log.h"
#include "io/file_system.h"

namespace rn::app {
namespace {

constexpr std::uint64_t kLargestReport = 1 << 20;

// One line for failure.json; empty where there is none. It may be anybody's file and goes to a terminal.
std::string failure_line(const std::string& run_dir) {
  auto& files = io::posix_file_system();
  const std::string path = run_dir + "/failure.json";
  if (!files.exists(path)) return {};
  const auto bytes = files.read(path, kLargestReport);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  const auto json = nlohmann::json::parse(text, text + bytes.size(), nullptr, /*allow_exceptions=*/false);
  const auto field = [&](const char* key) {
    return json.contains(key) ? json.at(key).dump(-1, ' ', true) : std::string("?");
  };
  if (!json.is_object()) throw DataError(cat(path, " is no JSON object: it is damaged"));
  return cat("failure.json: exit code ", field("code"), ", rank ", field("rank"), " on ", field("host"), ": ",
             field("message"));
}

}  // namespace

void explain_flight(const std::string& run_dir, std::ostream& out) {
  const auto log = dist::read_flight_log(run_dir);
  if (!log) {
    throw DataError(cat(run_dir,
                        " holds no flight record. A run of several ranks that ends badly writes one to "
                        "the folder flight in its run folder."));
  }
  const std::string failure = failure_line(run_dir);
  if (!failure.empty()) out << failure << '\n';
  out << dist::explain(*log);
}

}  // namespace rn::app
