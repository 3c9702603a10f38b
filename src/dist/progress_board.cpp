#include "dist/progress_board.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <new>
#include <thread>

#include "core/error.h"
#include "dist/fault_point.h"
#include "dist/monotonic_clock.h"
#include "dist/process_state.h"

namespace rn::dist {
namespace {

constexpr std::uint32_t kReady = 0x72'6e'64'03;  // "rnd", version of the segment's form
constexpr std::size_t kHeaderBytes = 128;        // rows and rings follow, aligned as they want to be
constexpr std::size_t kRankBytes = sizeof(BoardRow) + sizeof(FlightRing);
static_assert(sizeof(BoardRow) % alignof(FlightRing) == 0);

// A snapshot that one thread writes while others read it. Every store releases and every load acquires, so
// who has seen any new word sees that the version has moved.
struct alignas(64) RemoteCell {
  static constexpr std::size_t kWords = sizeof(RowSnapshot) / sizeof(std::uint64_t);
  std::atomic<std::uint32_t> version{0};  // odd: being written
  std::array<std::atomic<std::uint64_t>, kWords> words{};
};
static_assert(sizeof(FlightRing) % alignof(RemoteCell) == 0);
constexpr auto kCreationLimit = std::chrono::seconds(5);

[[noreturn]] void refuse(const std::string& name, const char* what, int error) {
  throw EnvironmentError(cat("cannot ", what, " the shared memory ", name, " for the progress board: ",
                             std::strerror(error), ". /dev/shm must be writable and not full."));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

// Removes a leftover. Two ranks may find it at once, and the slower one must not remove what the faster one
// has made in its place: both lock the leftover itself, and who holds the lock looks whether the name still
// means it.
void remove_leftover(const std::string& name, int fd) {
  if (flock(fd, LOCK_EX) != 0) return;
  const FileDescriptor current(shm_open(name.c_str(), O_RDWR, 0));
  struct stat ours{}, named{};
  if (current.get() >= 0 && fstat(fd, &ours) == 0 && fstat(current.get(), &named) == 0 &&
      ours.st_dev == named.st_dev && ours.st_ino == named.st_ino) {
    shm_unlink(name.c_str());
  }
}

}  // namespace

struct ProgressBoard::Segment {
  std::atomic<std::uint32_t> ready{0};  // kReady once the rows are built
  std::int32_t creator = 0;             // pid
  std::atomic<std::uint64_t> said{0};   // hash of the first text that a rank had to say

  BoardRow* rows() { return reinterpret_cast<BoardRow*>(reinterpret_cast<std::byte*>(this) + kHeaderBytes); }
  RemoteCell* remote(int count) { return reinterpret_cast<RemoteCell*>(rings(count) + count); }
  FlightRing* rings(int count) { return reinterpret_cast<FlightRing*>(rows() + count); }
};

static_assert(std::atomic<std::int64_t>::is_always_lock_free, "the board is shared between processes");

ProgressBoard::ProgressBoard(const LaunchEnv& env)
    : rows_(env.local_size),
      remote_ranks_(env.world_size > env.local_size ? env.world_size : 0),
      rank_(env.rank),
      local_rank_(env.local_rank),
      bytes_(kHeaderBytes + kRankBytes * static_cast<std::size_t>(env.local_size) +
             sizeof(RemoteCell) * static_cast<std::size_t>(remote_ranks_)),
      name_(env.launched && env.local_size > 1 ? cat("/rn_dist.", getuid(), ".", env.job) : "") {
  static_assert(sizeof(Segment) <= kHeaderBytes);
  if (name_.empty()) {
    map(-1);
  } else {
    attach();
  }
  mine().rank = rank_;
  mine().since_ns = monotonic_ns();
  mine().pid = getpid();  // last: now the row counts
}

ProgressBoard::~ProgressBoard() {
  unlink();
  unmap();
}

void ProgressBoard::attach() {
  try {
    while (!try_create() && !try_open()) std::this_thread::yield();
  } catch (const EnvironmentError& error) {
    // Rank 0 speaks for what all ranks meet. This one may be met by the node's first rank alone, and end the
    // job.
    if (rank_ != 0) std::fprintf(stderr, "rn_dist: rank %d: %s\n", rank_, error.what());
    throw;
  }
}

bool ProgressBoard::try_create() {
  const FileDescriptor file(shm_open(name_.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600));
  if (file.get() < 0) {
    if (errno == EEXIST) return false;
    refuse(name_, "create", errno);
  }
  creator_ = true;
  // Without its pages taken now, a full /dev/shm would end the process by SIGBUS at the first write.
  if (const int error = posix_fallocate(file.get(), 0, static_cast<off_t>(bytes_)); error != 0) {
    shm_unlink(name_.c_str());
    refuse(name_, "fill", error);
  }
  map(file.get());
  return true;
}

bool ProgressBoard::try_open() {
  const FileDescriptor file(shm_open(name_.c_str(), O_RDWR, 0));
  if (file.get() < 0) {
    if (errno == ENOENT) return false;
    refuse(name_, "open", errno);
  }
  // The creator needs a moment between making the name and saying that the rows are built; one that died in
  // between never says it.
  const auto limit = std::chrono::steady_clock::now() + kCreationLimit;
  while (std::chrono::steady_clock::now() < limit) {
    struct stat status{};
    if (fstat(file.get(), &status) == 0 && status.st_size == static_cast<off_t>(bytes_)) {
      if (!segment_) map(file.get());
      if (segment_->ready.load(std::memory_order_acquire) == kReady) break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  const bool usable = segment_ && segment_->ready.load(std::memory_order_acquire) == kReady &&
                      process_state(segment_->creator) != ProcessState::kGone;
  if (!usable) {
    unmap();
    remove_leftover(name_, file.get());
    return false;
  }
  const int holder = mine().pid.load();
  if (holder != 0 && process_state(holder) != ProcessState::kGone) {
    unmap();
    throw EnvironmentError(
        cat("process ", holder, " already is local rank ", local_rank_, " of job ", name_));
  }
  return true;
}

void ProgressBoard::map(int fd) {
  void* memory =
      mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) refuse(name_, "map", errno);
  if (fd >= 0 && !creator_) {
    segment_ = static_cast<Segment*>(memory);
    return;
  }
  segment_ = new (memory) Segment;
  for (int i = 0; i < rows_; ++i) {
    new (segment_->rows() + i) BoardRow;
    new (segment_->rings(rows_) + i) FlightRing;
  }
  for (int i = 0; i < remote_ranks_; ++i) new (segment_->remote(rows_) + i) RemoteCell;
  segment_->creator = getpid();
  segment_->ready.store(kReady, std::memory_order_release);
}

void ProgressBoard::unmap() {
  if (segment_) munmap(segment_, bytes_);
  segment_ = nullptr;
}

void ProgressBoard::unlink() {
  if (creator_) shm_unlink(name_.c_str());
  creator_ = false;
}

int ProgressBoard::rows() const { return rows_; }

BoardRow& ProgressBoard::row(int local_rank) const {
  RN_CHECK(local_rank >= 0 && local_rank < rows_, local_rank);
  return segment_->rows()[local_rank];
}

BoardRow& ProgressBoard::mine() const { return segment_->rows()[local_rank_]; }

const FlightRing& ProgressBoard::flight(int local_rank) const {
  RN_CHECK(local_rank >= 0 && local_rank < rows_, local_rank);
  return segment_->rings(rows_)[local_rank];
}

void ProgressBoard::set_phase(Phase phase) noexcept {
  BoardRow& row = mine();
  const std::int64_t now = monotonic_ns();
  const auto before = row.phase.exchange(static_cast<std::uint32_t>(phase), std::memory_order_relaxed);
  const std::int64_t since = row.since_ns.exchange(now, std::memory_order_relaxed);
  row.phase_ns[before].fetch_add(now - since, std::memory_order_relaxed);
}

void ProgressBoard::note_ending() noexcept { set_phase(Phase::kEnding); }

void ProgressBoard::enter(Phase phase) {
  set_phase(phase);
  fault_point(name_of(phase), rank_, mine().step.load(std::memory_order_relaxed));
}

void ProgressBoard::begin_step(std::int64_t step) {
  mine().step.store(step, std::memory_order_relaxed);
  enter(Phase::kStep);
}

void ProgressBoard::note_started(const CollectiveCall& call) noexcept {
  BoardRow& row = mine();
  const auto phase = static_cast<Phase>(row.phase.load(std::memory_order_relaxed));
  FlightRing& ring = segment_->rings(rows_)[local_rank_];
  ring.start(call, phase, row.step.load(std::memory_order_relaxed), monotonic_ns());
  // A collective of the host begins when those before it are done, and may come after a later one of the
  // device.
  std::int64_t last = row.collective.load(std::memory_order_relaxed);
  while (last < call.number) {
    row.collective_kind.store(static_cast<std::uint32_t>(call.kind), std::memory_order_relaxed);
    row.collective_bytes.store(static_cast<std::int64_t>(call.bytes), std::memory_order_relaxed);
    if (row.collective.compare_exchange_weak(last, call.number, std::memory_order_relaxed)) return;
  }
}

void ProgressBoard::collective_started(const CollectiveCall& call) noexcept {
  note_started(call);
  mine().host_collective.store(call.number, std::memory_order_relaxed);
}

void ProgressBoard::collective_finished(const CollectiveCall& call) noexcept {
  BoardRow& row = mine();
  const std::int64_t now = monotonic_ns();
  const FlightRing::Span span = segment_->rings(rows_)[local_rank_].finish(call.number, now);
  row.collective_ns[static_cast<std::size_t>(span.phase)].fetch_add(now - span.started_ns,
                                                                    std::memory_order_relaxed);
  row.finished_collective.store(call.number, std::memory_order_relaxed);
}

void ProgressBoard::device_collective_queued(const CollectiveCall& call) noexcept {
  mine().device_collectives.fetch_add(1, std::memory_order_relaxed);
  note_started(call);
}

void ProgressBoard::device_collective_found_done(const CollectiveCall& call) noexcept {
  segment_->rings(rows_)[local_rank_].finish(call.number, monotonic_ns());
}

std::span<std::byte> ProgressBoard::memory() const {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return {reinterpret_cast<std::byte*>(segment_), (bytes_ + page - 1) / page * page};
}

void ProgressBoard::put_remote(const RowSnapshot& row) noexcept {
  RemoteCell& cell = segment_->remote(rows_)[row.rank];
  std::array<std::uint64_t, RemoteCell::kWords> words;
  std::memcpy(words.data(), &row, sizeof row);
  const std::uint32_t version = cell.version.load();
  cell.version.store(version + 1);
  for (std::size_t i = 0; i < words.size(); ++i) cell.words[i].store(words[i]);
  cell.version.store(version + 2);
}

std::uint32_t ProgressBoard::read_remote(int rank, RowSnapshot& row) const noexcept {
  const RemoteCell& cell = segment_->remote(rows_)[rank];
  std::array<std::uint64_t, RemoteCell::kWords> words;
  // Bounded: a writer may have been stopped or killed in between.
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::uint32_t version = cell.version.load();
    if (version == 0) return 0;
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = cell.words[i].load();
    if (version % 2 != 0 || version != cell.version.load()) continue;
    std::memcpy(static_cast<void*>(&row), words.data(), sizeof row);
    return version;
  }
  return 0;
}

bool ProgressBoard::first_to_say(std::uint64_t hash) {
  if (hash == 0) hash = 1;  // 0 means: nothing said yet
  std::uint64_t said = 0;
  return segment_->said.compare_exchange_strong(said, hash) || said != hash;
}

}  // namespace rn::dist
