#include "dist/judgement.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <sstream>
#include <vector>

#include "dist/collective.h"

namespace rn::dist {
namespace {

constexpr double kForever = std::numeric_limits<double>::infinity();
// A process that vanished: time for what it wrote last (failed_code, failure.json) to be seen.
constexpr double kLossGraceSeconds = 0.3;
// mpirun needs about two seconds to end the ranks after one failed; only a launcher that does not (srun
// without -K1) leaves them alive for this long.
constexpr double kAftermathSeconds = 20;
// The node on which the culprit sits sees more and should speak first: so much later than its deadline others
// do that know of it, and those that know nothing.
constexpr double kOtherNodeSeconds = 3;
constexpr double kUnknownNodeSeconds = 10;
// Nodes tell of their ranks every half second (row_exchange.h): one that was silent for longer is down,
// stopped, or cut off.
constexpr double kSilentSeconds = 5;

using Rows = std::vector<const RowSnapshot*>;

bool longer_stalled(const RowSnapshot* a, const RowSnapshot* b) {
  return a->stalled_seconds < b->stalled_seconds;
}

std::string seconds(double value) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << value << " s";
  return text.str();
}

std::string name(const RowSnapshot& row) {
  if (row.pid == 0) return cat("local rank ", row.local_rank, " (never attached)");
  return cat("rank ", row.rank, row.host[0] != '\0' ? " on " : "", row.host.data(), " (pid ", row.pid, ")");
}

std::string collective_of(const RowSnapshot& row) {
  return cat(name_of(static_cast<CollectiveKind>(row.collective_kind)), " number ", row.collective, " (",
             row.collective_bytes, " bytes)");
}

std::string place(const RowSnapshot& row) {
  std::string text = cat("phase ", name_of(row.phase));
  if (row.step >= 0) text += cat(", step ", row.step);
  if (row.waiting()) {
    text += cat(", waiting in ", collective_of(row));
  } else if (row.collective > 0) {
    text += cat(", after collective ", row.collective);
  }
  return text;
}

double longest_deadline(const DistOptions& options) {
  double longest = 0;
  for (const Phase phase : {Phase::kInit, Phase::kData, Phase::kStep, Phase::kEval, Phase::kCheckpoint}) {
    longest = std::max(longest, deadline_of(phase, options));
  }
  return longest;
}

Verdict hang_of(const RowSnapshot& culprit, const Rows& active, const DistOptions& options) {
  std::string text = cat(name(culprit), " has not moved for ", seconds(culprit.stalled_seconds), " in ",
                         place(culprit), "; the deadline is ", seconds(deadline_of(culprit.phase, options)));
  if (culprit.silent_seconds > kSilentSeconds) {
    text += cat(". Its host was last heard of ", seconds(culprit.silent_seconds),
                " ago: it is down or stopped, or the network between the hosts is cut");
  }
  if (culprit.process == ProcessState::kStopped) text += ". The process is stopped (SIGSTOP or a debugger)";
  std::string others;
  for (const auto* row : active) {
    if (row != &culprit && row->waiting()) others += cat(others.empty() ? "" : ", ", "rank ", row->rank);
  }
  if (!others.empty()) text += cat(". Waiting for it: ", others);
  return {Verdict::Kind::kHang, culprit.local_rank, -1, ExitCode::kHang, text + "."};
}

Verdict judge_failed(std::span<const RowSnapshot> rows, int self) {
  for (const auto& row : rows) {
    if (row.failed_code == 0 || row.local_rank == self) continue;
    if (std::max(row.gone_seconds, row.stalled_seconds) < kAftermathSeconds) continue;
    return {Verdict::Kind::kPeerFailed, row.local_rank, -1, static_cast<ExitCode>(row.failed_code),
            cat(name(row), " ended the run with exit code ", row.failed_code,
                ", and the launcher did not end this rank.")};
  }
  return {};
}

Verdict judge_lost(std::span<const RowSnapshot> rows, int self) {
  const RowSnapshot* lost = nullptr;
  for (const auto& row : rows) {
    if (row.local_rank == self || row.process != ProcessState::kGone || row.phase == Phase::kFinished)
      continue;
    if (row.gone_seconds >= kLossGraceSeconds && (!lost || row.gone_seconds > lost->gone_seconds))
      lost = &row;
  }
  if (!lost) return {};
  return {Verdict::Kind::kPeerLost, lost->local_rank, -1, ExitCode::kPeerLost,
          cat(name(*lost), " vanished without a word in ", place(*lost),
              ": killed from outside (SIGKILL, often the system out of memory) or left without finishing.")};
}

// Whether `row` may be why ranks here wait in `collective`: it has not come there, or has not been heard of
// for so long that nobody knows.
bool is_suspect(const RowSnapshot& row, std::int64_t collective) {
  if (row.phase == Phase::kFinished) return false;
  return row.silent_seconds > kSilentSeconds ? row.collective <= collective
                                             : row.collective < collective && !row.waiting();
}

// All ranks of this node that are `behind` wait, `first` of them for longest.
Verdict judge_other_nodes(const Rows& behind, bool all_over, const RowSnapshot& first,
                          std::span<const RowSnapshot> others, const DistOptions& options) {
  const RowSnapshot* culprit =
      nullptr;  // the one that is furthest behind, of several the one that stands for longest
  for (const auto& row : others) {
    if (!is_suspect(row, first.collective)) continue;
    if (!culprit || row.collective < culprit->collective ||
        (row.collective == culprit->collective && longer_stalled(culprit, &row))) {
      culprit = &row;
    }
  }
  if (culprit) {
    // What was heard long ago may have changed since: only ranks that stand still themselves bear witness
    // then.
    const bool witnessed = culprit->silent_seconds > kSilentSeconds
                               ? all_over
                               : std::all_of(behind.begin(), behind.end(), [](const auto* row) {
                                   return row->stalled_seconds > kOtherNodeSeconds;
                                 });
    const double limit = deadline_of(culprit->phase, options) + kOtherNodeSeconds;
    if (!witnessed || culprit->stalled_seconds <= limit) return {};
    Verdict verdict = hang_of(*culprit, behind, options);
    verdict.culprit = -1;
    verdict.other = static_cast<int>(culprit - others.data());
    return verdict;
  }
  if (!all_over || first.stalled_seconds <= longest_deadline(options) + kUnknownNodeSeconds) return {};
  return {
      Verdict::Kind::kHang, -1, -1, ExitCode::kHang,
      cat("all ranks of this node wait in ", collective_of(first), " for ", seconds(first.stalled_seconds),
          others.empty()
              ? ": a rank on another node has not arrived, or the network between the nodes is cut."
              : ", and those of the other nodes wait too: the network between the nodes is cut.")};
}

Verdict judge_hang(std::span<const RowSnapshot> rows, const DistOptions& options, bool whole_world,
                   std::span<const RowSnapshot> others) {
  const auto over = [&](const RowSnapshot* row) {
    return row->stalled_seconds > deadline_of(row->phase, options);
  };
  Rows active;
  for (const auto& row : rows) {
    if (row.phase != Phase::kFinished) active.push_back(&row);
  }
  for (const auto* row : active) {
    if (row->process == ProcessState::kStopped && over(row)) return hang_of(*row, active, options);
  }

  std::int64_t lowest = std::numeric_limits<std::int64_t>::max();
  for (const auto* row : active) lowest = std::min(lowest, row->collective);
  Rows behind, busy;  // not arrived; of them those that wait for nobody
  for (const auto* row : active) {
    if (row->collective != lowest) continue;
    behind.push_back(row);
    if (!row->waiting()) busy.push_back(row);
  }
  if (!busy.empty()) {
    Rows late;
    std::copy_if(busy.begin(), busy.end(), std::back_inserter(late), over);
    return late.empty()
               ? Verdict{}
               : hang_of(**std::max_element(late.begin(), late.end(), longer_stalled), active, options);
  }
  if (behind.empty()) return {};
  // All that are behind have a collective unfinished. One of them may only have started it and be busy in a
  // phase with a long deadline, so none counts as hanging before all do.
  const bool all_over = std::all_of(behind.begin(), behind.end(), over);
  const auto* first = *std::max_element(behind.begin(), behind.end(), longer_stalled);
  if (whole_world) return all_over ? hang_of(*first, active, options) : Verdict{};
  return judge_other_nodes(behind, all_over, *first, others, options);
}

}  // namespace

double deadline_of(Phase phase, const DistOptions& options) {
  double deadline = 0;
  switch (phase) {
    case Phase::kInit:
    case Phase::kEnding:
      deadline = options.init_deadline_seconds;
      break;
    case Phase::kData:
      deadline = options.data_deadline_seconds;
      break;
    case Phase::kStep:
      deadline = options.step_deadline_seconds;
      break;
    case Phase::kEval:
      deadline = options.eval_deadline_seconds;
      break;
    case Phase::kCheckpoint:
      deadline = options.checkpoint_deadline_seconds;
      break;
    case Phase::kFinished:
      break;
  }
  return deadline > 0 ? deadline : kForever;
}

Verdict judge(std::span<const RowSnapshot> rows, int self, const DistOptions& options, bool whole_world,
              std::span<const RowSnapshot> others) {
  // A rank that ends badly explains whatever else is to be seen: the launcher is about to end all ranks.
  const auto failing = [](const RowSnapshot& row) { return row.failed_code != 0; };
  if (std::any_of(rows.begin(), rows.end(), failing)) return judge_failed(rows, self);
  if (const auto other = std::find_if(others.begin(), others.end(), failing); other != others.end()) {
    Verdict verdict = judge_failed({other, 1}, /*self=*/-1);
    verdict.culprit = -1;
    if (verdict.kind != Verdict::Kind::kFine) verdict.other = static_cast<int>(other - others.begin());
    return verdict;
  }
  const Verdict lost = judge_lost(rows, self);
  return lost.kind != Verdict::Kind::kFine ? lost : judge_hang(rows, options, whole_world, others);
}

std::string describe_rows(std::span<const RowSnapshot> rows) {
  std::string text;
  for (const auto& row : rows) {
    const char* state = row.failed_code != 0                    ? ", ending badly"
                        : row.process == ProcessState::kGone    ? ", gone"
                        : row.process == ProcessState::kStopped ? ", stopped"
                                                                : "";
    text += cat("  ", name(row), ": ", place(row), ", unchanged for ", seconds(row.stalled_seconds), state);
    if (row.silent_seconds > kSilentSeconds)
      text += cat(", last heard of ", seconds(row.silent_seconds), " ago");
    text += "\n";
  }
  return text;
}

}  // namespace rn::dist
