#include "dist/flight_analysis.h"

#include <algorithm>
#include <iomanip>
#include <limits>
#include <map>
#include <sstream>

#include "core/error.h"
#include "dist/agreement.h"

namespace rn::dist {
namespace {

using Ranks = std::vector<const FlightRank*>;

std::string seconds(std::int64_t nanoseconds) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(nanoseconds < 1'000'000'000 ? 3 : 1)
       << static_cast<double>(nanoseconds) * 1e-9 << " s";
  return text.str();
}

std::string names(const Ranks& ranks) {
  std::vector<std::size_t> numbers;
  for (const auto* rank : ranks) numbers.push_back(static_cast<std::size_t>(rank->rank));
  return rank_list(numbers);
}

class Explanation {
 public:
  explicit Explanation(const FlightLog& log) : log_(log) {
    for (const FlightRank& rank : log.ranks) all_.push_back(&rank);
  }

  std::string text() {
    say_who_is_here();
    if (!say_mismatch()) say_who_is_behind();
    say_states();
    say_latecomer();
    for (const auto* rank : all_) say(cat("  ", describe(*rank)));
    return text_;
  }

 private:
  void say(const std::string& line) { text_ += line + "\n"; }

  std::string name(const FlightRank& rank) const {
    return cat("rank ", rank.rank, " on ", log_.nodes[static_cast<std::size_t>(rank.node)].host, " (pid ",
               rank.pid, ")");
  }

  // In words that need no other sentence: "phase data of step 120 for 31.2 s".
  std::string place(const FlightRank& rank) const {
    std::string text = cat("phase ", name_of(rank.phase));
    if (rank.step >= 0) text += cat(" of step ", rank.step);
    return text + cat(" for ", seconds(std::max<std::int64_t>(0, log_.now_ns(rank) - rank.since_ns)));
  }

  std::string describe(const FlightRank& rank) const {
    std::string text = cat(name(rank), ": ", place(rank), "; ");
    if (rank.started == 0) return text + "no collective yet";
    const FlightEntry* last = rank.find(rank.started);
    const std::string what = last ? dist::describe(last->call) : cat("number ", rank.started);
    if (!rank.waiting()) return text + cat("last finished ", what);
    text += cat("in ", what);
    return last ? text + cat(" since ", seconds(log_.now_ns(rank) - last->started_ns)) : text;
  }

  void say_who_is_here() {
    say(cat("flight record of ", all_.size(), " of ", log_.world_size, " ranks on ", log_.nodes.size(),
            log_.nodes.size() == 1 ? " host" : " hosts", ", ", log_.nodes.front().time));
    std::vector<std::size_t> missing;
    for (int r = 0; r < log_.world_size; ++r) {
      if (std::none_of(all_.begin(), all_.end(), [&](const auto* rank) { return rank->rank == r; })) {
        missing.push_back(static_cast<std::size_t>(r));
      }
    }
    if (!missing.empty()) {
      say(cat("no record of ", rank_list(missing),
              ": never started, or on a host that wrote none (killed as a whole, or cut off)"));
    }
  }

  // The first number that two ranks used for different collectives.
  bool say_mismatch() {
    std::map<std::int64_t, const FlightRank*> first;
    const FlightRank* one = nullptr;
    const FlightRank* other = nullptr;
    std::int64_t number = std::numeric_limits<std::int64_t>::max();
    for (const auto* rank : all_) {
      for (const FlightEntry& entry : rank->collectives) {
        const auto [known, is_new] = first.emplace(entry.call.number, rank);
        if (is_new || entry.call.number >= number ||
            same_call(known->second->find(entry.call.number)->call, entry.call)) {
          continue;
        }
        number = entry.call.number;
        one = known->second;
        other = rank;
      }
    }
    if (!one) return false;
    say(describe_mismatch(one->rank, one->find(number)->call, other->rank, other->find(number)->call));
    return true;
  }

  void say_who_is_behind() {
    std::int64_t lowest = std::numeric_limits<std::int64_t>::max();
    std::int64_t highest = 0;
    for (const auto* rank : all_) {
      if (rank->phase == Phase::kFinished) continue;
      lowest = std::min(lowest, rank->started);
      highest = std::max(highest, rank->started);
    }
    if (highest == 0) return say("no collective was started");
    Ranks behind, inside;
    for (const auto* rank : all_) {
      if (rank->phase == Phase::kFinished) continue;
      if (rank->started == lowest) behind.push_back(rank);
      if (rank->started > lowest && rank->waiting()) inside.push_back(rank);
    }
    if (lowest == highest) return say_all_level(behind);
    const FlightRank& waiter = inside.empty() ? *all_.front() : *inside.front();
    const FlightEntry* missed = waiter.find(lowest + 1);
    const std::string what = missed ? cat(dist::describe(missed->call), " of step ", missed->step)
                                    : cat("collective number ", lowest + 1);
    for (const auto* rank : behind) {
      std::string text = cat(name(*rank), rank->waiting() ? " had not left number " : " never started ");
      text += rank->waiting() ? cat(rank->started, ", and so did not start ", what) : what;
      say(cat(text, ": it was in ", place(*rank)));
    }
    if (inside.empty()) return;
    const FlightEntry* since = waiter.find(waiter.started);
    std::string text =
        cat(names(inside), inside.size() == 1 ? " waits" : " wait", " in number ", waiter.started);
    if (since) {
      text += cat(inside.size() == 1 ? "" : cat(", ", names({&waiter})), " for ",
                  seconds(log_.now_ns(waiter) - since->started_ns));
    }
    say(text);
  }

  void say_all_level(const Ranks& active) {
    Ranks inside, outside;
    for (const auto* rank : active) (rank->waiting() ? inside : outside).push_back(rank);
    const std::int64_t number = active.front()->started;
    if (inside.empty())
      return say(cat("all ranks had finished number ", number, "; none waited for another"));
    if (outside.empty()) {
      return say(cat("all ranks had started number ", number,
                     " and none had finished it: the transport between them is cut or slow, or a rank stands "
                     "still inside it"));
    }
    say(cat(names(inside), inside.size() == 1 ? " was" : " were", " still in number ", number, ", which ",
            names(outside), " had finished"));
  }

  void say_states() {
    for (const auto* rank : all_) {
      if (rank->failed_code != 0) {
        say(cat(name(*rank), " was ending the run with exit code ", rank->failed_code));
      } else if (rank->process != ProcessState::kRunning && rank->phase != Phase::kFinished) {
        say(cat("the process of ", name(*rank),
                rank->process == ProcessState::kGone ? " was gone" : " was stopped (SIGSTOP or a debugger)"));
      }
    }
  }

  // Who came last most often, by how much; for ranks of one node, which have one clock.
  void say_latecomer() {
    for (std::size_t n = 0; n < log_.nodes.size(); ++n) {
      Ranks local;
      for (const auto* rank : all_) {
        if (rank->node == static_cast<int>(n)) local.push_back(rank);
      }
      if (local.size() >= 2) say_latecomer_of(local);
    }
  }

  void say_latecomer_of(const Ranks& ranks) {
    constexpr int kFewest = 16;
    std::map<const FlightRank*, int> last;
    std::map<const FlightRank*, std::int64_t> late_ns;
    int count = 0;
    for (const FlightEntry& entry : ranks.front()->collectives) {
      std::vector<std::pair<std::int64_t, const FlightRank*>> arrivals;
      for (const auto* rank : ranks) {
        const FlightEntry* theirs = rank->find(entry.call.number);
        if (theirs && theirs->finished()) arrivals.emplace_back(theirs->started_ns, rank);
      }
      if (arrivals.size() < ranks.size()) continue;
      const auto [earliest, latest] = std::minmax_element(arrivals.begin(), arrivals.end());
      ++count;
      ++last[latest->second];
      late_ns[latest->second] += latest->first - earliest->first;
    }
    if (count < kFewest) return;
    const auto worst = std::max_element(late_ns.begin(), late_ns.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
    say(cat(name(*worst->first), " came last in ", last[worst->first], " of the last ", count,
            " finished collectives and kept the first one waiting for ", seconds(worst->second), " in all"));
  }

  const FlightLog& log_;
  Ranks all_;
  std::string text_;
};

}  // namespace

std::string explain(const FlightLog& log) { return Explanation(log).text(); }

}  // namespace rn::dist
