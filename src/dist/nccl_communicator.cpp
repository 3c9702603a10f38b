#include "dist/nccl_communicator.h"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <exception>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "dist/collective.h"
#include "dist/finished_counter.h"
#include "dist/library_versions.h"
#include "dist/progress_board.h"
#include "dist/single_communicator.h"

namespace rn::dist {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kFinalizeLimit{30};
constexpr std::size_t kWindowAlignment = 4096;  // NCCL_WIN_REQUIRED_ALIGNMENT, absent from older headers

void check_cuda(cudaError_t result, std::string_view what) {
  if (result != cudaSuccess) throw InternalError(cat("[cuda] ", what, ": ", cudaGetErrorString(result)));
}

// NCCL's own text where it has one: it names the interface, file or peer.
std::string nccl_text(ncclResult_t result, ncclComm_t comm) {
  const char* last = ncclGetLastError(comm);
  return cat(ncclGetErrorString(result), last && *last ? cat(" (", last, ")") : std::string());
}

std::string version_text(int code) { return cat(code / 10000, ".", code / 100 % 100, ".", code % 100); }

ncclDataType_t nccl_type(DType dtype) {
  switch (dtype) {
    case DType::kU8:
      return ncclUint8;
    case DType::kI32:
      return ncclInt32;
    case DType::kI64:
      return ncclInt64;
    case DType::kBF16:
      return ncclBfloat16;
    case DType::kF16:
      return ncclFloat16;
    case DType::kF32:
      return ncclFloat32;
    case DType::kF64:
      return ncclFloat64;
  }
  throw InternalError("[nccl] unknown dtype");
}

// Between two looks at something that the device or a peer has to finish: a collective takes microseconds, a
// late peer seconds, and the core is wanted elsewhere.
void pause(int polls) {
  constexpr int kYields = 1000;
  if (polls < kYields) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

class Event {
 public:
  Event() {
    check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  ~Event() { cudaEventDestroy(event_); }  // a pending one is freed when it completes
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// The NCCL communicator and its stream. Shared with buffers and Works, which may live longer than the
// Communicator.
class NcclHandle {
 public:
  NcclHandle(Communicator& host, int device, double deadline_seconds) : device_(device) {
    enter_device();
    int least = 0;
    int greatest = 0;
    check_cuda(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
    check_cuda(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, greatest),
               "cudaStreamCreateWithPriority");

    ncclUniqueId id{};
    // NCCL's RAS would listen on a port of every node, for a tool that few use; NCCL_RAS_ENABLE=1 asks for
    // it.
    setenv("NCCL_RAS_ENABLE", "0", /*overwrite=*/0);
    if (host.rank() == 0) settle(ncclGetUniqueId(&id), "ncclGetUniqueId", {});
    host.broadcast(bytes_of(std::span<char>(id.internal)), 0).wait();
    host.barrier();  // from here on the deadline measures NCCL alone, not ranks that start late
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                             std::chrono::duration<double>(deadline_seconds));
    settle(ncclCommInitRankConfig(&comm_, host.world_size(), id, host.rank(), &config),
           "ncclCommInitRankConfig", deadline);
  }

  // Nothing of NCCL is called on the way to a bad end, where it could hang: the process ends without it.
  ~NcclHandle() {
    if (std::uncaught_exceptions() > 0 || !comm_) return;
    cudaSetDevice(device_);
    if (failed_) {
      ncclCommAbort(comm_);
    } else {
      try {
        settle(ncclCommFinalize(comm_), "ncclCommFinalize", Clock::now() + kFinalizeLimit);
        ncclCommDestroy(comm_);
      } catch (const Error&) {
        ncclCommAbort(comm_);
      }
    }
    cudaStreamDestroy(stream_);
  }
  NcclHandle(const NcclHandle&) = delete;
  NcclHandle& operator=(const NcclHandle&) = delete;

  // The current device is per thread, and backward on a GPU runs on threads of autograd.
  void enter_device() const { check_cuda(cudaSetDevice(device_), cat("cudaSetDevice(", device_, ")")); }

  // A non-blocking communicator answers ncclInProgress: waits until the call has taken effect (a collective
  // is then queued on the stream), at most until `deadline` (none: the watchdog's).
  void settle(ncclResult_t result, std::string_view what, Clock::time_point deadline) {
    for (int polls = 0; result == ncclInProgress; ++polls) {
      const ncclResult_t query = ncclCommGetAsyncError(comm_, &result);
      if (query != ncclSuccess) result = query;
      if (result != ncclInProgress) break;
      if (deadline != Clock::time_point{} && Clock::now() > deadline) {
        failed_ = true;
        throw Error(ExitCode::kHang, cat("[nccl] ", what,
                                         " passed its deadline: not all ranks' GPUs are connected. "
                                         "NCCL_DEBUG=INFO shows where it stands."));
      }
      pause(polls);
    }
    if (result != ncclSuccess) fail(result, what);
  }

  // Throws what has gone wrong in the background, if anything.
  void check_async() {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t query = ncclCommGetAsyncError(comm_, &state);
    if (query != ncclSuccess) fail(query, "ncclCommGetAsyncError");
    if (state != ncclSuccess && state != ncclInProgress) fail(state, "a collective");
  }

  ncclComm_t comm() const { return comm_; }
  cudaStream_t stream() const { return stream_; }
  int device() const { return device_; }

 private:
  [[noreturn]] void fail(ncclResult_t result, std::string_view what) {
    failed_ = true;
    const std::string message = cat("[nccl] ", what, ": ", nccl_text(result, comm_));
    if (result == ncclRemoteError) throw PeerLostError(message);
    if (result == ncclSystemError) throw EnvironmentError(message);
    throw InternalError(message);
  }

  const int device_;
  cudaStream_t stream_ = nullptr;
  ncclComm_t comm_ = nullptr;
  bool failed_ = false;
};

class NcclBuffer final : public Buffer {
 public:
  NcclBuffer(std::shared_ptr<NcclHandle> handle, std::size_t bytes)
      : handle_(std::move(handle)), bytes_(bytes) {
    const std::size_t room =
        std::max((bytes + kWindowAlignment - 1) / kWindowAlignment, std::size_t{1}) * kWindowAlignment;
    handle_->settle(ncclMemAlloc(&data_, room), cat("ncclMemAlloc of ", room, " bytes"), {});
    try {
      check_cuda(cudaMemsetAsync(data_, 0, room, handle_->stream()), "cudaMemsetAsync");
      check_cuda(cudaStreamSynchronize(handle_->stream()), "cudaStreamSynchronize");
      handle_->settle(ncclCommRegister(handle_->comm(), data_, room, &registration_), "ncclCommRegister", {});
    } catch (...) {
      ncclMemFree(data_);
      throw;
    }
  }
  ~NcclBuffer() override {
    if (std::uncaught_exceptions() > 0) return;
    cudaSetDevice(handle_->device());
    cudaDeviceSynchronize();  // unmapping memory, unlike cudaFree, does not wait for who still uses it
    ncclCommDeregister(handle_->comm(), registration_);
    ncclMemFree(data_);
  }
  NcclBuffer(const NcclBuffer&) = delete;
  NcclBuffer& operator=(const NcclBuffer&) = delete;
  std::span<std::byte> bytes() const override { return {static_cast<std::byte*>(data_), bytes_}; }

 private:
  const std::shared_ptr<NcclHandle> handle_;
  const std::size_t bytes_;
  void* data_ = nullptr;
  void* registration_ = nullptr;
};

class NcclWork final : public Work::State {
 public:
  // Marks the end of what `stream` holds now. `captured`: of what a graph holds, so that the mark is an edge
  // of the graph, which the host cannot ask.
  NcclWork(std::shared_ptr<NcclHandle> handle, cudaStream_t stream, bool captured)
      : handle_(std::move(handle)), captured_(captured) {
    check_cuda(cudaEventRecord(end_.get(), stream), "cudaEventRecord");
  }

  bool done() const override {
    RN_CHECK(!captured_, "a collective of a graph cannot be waited for");
    const cudaError_t state = cudaEventQuery(end_.get());
    if (state == cudaErrorNotReady) return false;
    check_cuda(state, "a collective on the device");
    return true;
  }

  void wait() override {
    for (int polls = 0; !done(); ++polls) {
      handle_->check_async();
      pause(polls);
    }
  }

  void order_after(void* stream) override {
    handle_->enter_device();  // the null stream is the current device's
    check_cuda(cudaStreamWaitEvent(static_cast<cudaStream_t>(stream), end_.get(), 0), "cudaStreamWaitEvent");
    ordered_ = true;
  }

  void release() noexcept override {
    if (ordered_ || std::uncaught_exceptions() > 0) return;
    Work::State::release();
  }

 private:
  const std::shared_ptr<NcclHandle> handle_;
  const bool captured_;
  Event end_;
  bool ordered_ = false;  // the caller's stream waits, so the host need not
};

class NcclCommunicator final : public DeviceCommunicator {
 public:
  NcclCommunicator(Communicator& host, int device, double deadline_seconds, ProgressBoard* board)
      : host_(host), board_(board), handle_(std::make_shared<NcclHandle>(host, device, deadline_seconds)) {
    if (!board_) return;
    try {
      finished_.emplace(board_->memory(), board_->mine().device_finished);
    } catch (const EnvironmentError& error) {
      log_warning(error.what(), ". A hang is then told with older numbers of collectives.");
    }
  }

  int rank() const override { return host_.rank(); }
  int world_size() const override { return host_.world_size(); }
  std::string_view backend() const override { return "nccl"; }
  bool on_device() const override { return true; }
  Communicator& host() override { return host_; }
  void set_compute_stream(void* stream) override { compute_stream_ = static_cast<cudaStream_t>(stream); }

  std::shared_ptr<Buffer> allocate(std::size_t bytes) override {
    handle_->enter_device();
    return std::make_shared<NcclBuffer>(handle_, bytes);
  }

  Work all_reduce(std::span<std::byte> data, DType dtype, DType wire) override {
    if (wire != dtype) {
      throw ConfigError(cat("[nccl] sums ", name_of(dtype), " as ", name_of(dtype),
                            " only: set "
                            "dist.all_reduce_dtype back to its default, or use dist.backend=mpi."));
    }
    check_all_reduce(data.size(), dtype, wire);
    CollectiveCall collective{.bytes = data.size(), .kind = CollectiveKind::kAllReduce};
    collective.dtype = collective.wire = dtype;
    return start(collective, [&] {
      return ncclAllReduce(data.data(), data.data(), data.size() / size_of(dtype), nccl_type(dtype), ncclSum,
                           handle_->comm(), handle_->stream());
    });
  }

  Work broadcast(std::span<std::byte> data, int root) override {
    RN_CHECK(root >= 0 && root < world_size(), "broadcast from rank ", root, " of ", world_size());
    return start({.bytes = data.size(), .kind = CollectiveKind::kBroadcast, .root = root}, [&] {
      return ncclBroadcast(data.data(), data.data(), data.size(), ncclUint8, root, handle_->comm(),
                           handle_->stream());
    });
  }

  Work all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    RN_CHECK(all.size() == mine.size() * static_cast<std::size_t>(world_size()), all.size(), " bytes for ",
             world_size(), " parts of ", mine.size());
    return start({.bytes = mine.size(), .kind = CollectiveKind::kAllGather}, [&] {
      return ncclAllGather(mine.data(), all.data(), mine.size(), ncclUint8, handle_->comm(),
                           handle_->stream());
    });
  }

  void barrier() override {
    handle_->enter_device();
    NcclWork(handle_, handle_->stream(), /*captured=*/false).wait();
    retire();
    host_.barrier();
  }

  void begin_capture() override {
    RN_CHECK(!capturing_, "two graphs at once");
    capturing_ = true;
    captured_.clear();
  }
  void end_capture() override { capturing_ = false; }

  // NCCL wants the same order of operations on all ranks, so those of the graph wait for what was queued on
  // the communication stream, such as a vote.
  void before_launch() override {
    handle_->enter_device();
    handle_->check_async();
    retire();
    check_cuda(cudaEventRecord(produced_.get(), handle_->stream()), "cudaEventRecord");
    check_cuda(cudaStreamWaitEvent(compute_stream_, produced_.get(), 0), "cudaStreamWaitEvent");
    for (CollectiveCall& collective : captured_) announce(collective);
  }

  void after_launch() override {
    handle_->enter_device();
    if (!board_) return;
    const auto end = std::make_shared<NcclWork>(handle_, compute_stream_, /*captured=*/false);
    for (const CollectiveCall& collective : captured_) in_flight_.push_back({collective, end});
  }

 private:
  template <typename Call>
  Work start(CollectiveCall collective, Call call) {
    handle_->enter_device();
    handle_->check_async();
    if (!capturing_) {
      retire();
      announce(collective);  // before the call: it may hang itself, where NCCL connects what is new to it
    }
    check_cuda(cudaEventRecord(produced_.get(), compute_stream_), "cudaEventRecord");
    check_cuda(cudaStreamWaitEvent(handle_->stream(), produced_.get(), 0), "cudaStreamWaitEvent");
    handle_->settle(call(), name_of(collective.kind), {});
    // In a graph before the mark that the compute stream waits for, or it would not be part of the graph;
    // else behind it: nobody waits for it.
    if (capturing_ && finished_) finished_->count_on(handle_->stream());
    auto work = std::make_shared<NcclWork>(handle_, handle_->stream(), capturing_);
    if (capturing_) {
      captured_.push_back(collective);
    } else if (board_) {
      if (finished_) finished_->count_on(handle_->stream());
      in_flight_.push_back({collective, work});
    }
    return Work(std::move(work));
  }

  // Gives a collective its number, and shows it on the board.
  void announce(CollectiveCall& collective) {
    if (!board_) return;
    collective.number = board_->next_collective();
    board_->device_collective_queued(collective);
  }

  // Tells the flight ring which collectives the device has finished.
  void retire() {
    while (!in_flight_.empty() && in_flight_.front().end->done()) {
      board_->device_collective_found_done(in_flight_.front().collective);
      if (!finished_) ++board_->mine().device_finished;
      in_flight_.pop_front();
    }
  }

  Communicator& host_;
  ProgressBoard* const board_;
  const std::shared_ptr<NcclHandle> handle_;
  cudaStream_t compute_stream_ = nullptr;
  Event produced_;                           // of the handle's device
  std::optional<FinishedCounter> finished_;  // with a board that the device can write to
  struct InFlight {
    CollectiveCall collective;
    std::shared_ptr<NcclWork> end;  // of it, or of the graph that holds it
  };
  std::deque<InFlight> in_flight_;  // with a board
  bool capturing_ = false;
  std::vector<CollectiveCall> captured_;  // those of the graph, with the numbers of its last launch
};

// A sum whose result every rank knows: a transport that loses or mixes up data is found before it trains.
void check_first_sum(NcclCommunicator& communicator) {
  constexpr std::size_t kCount = 1021;
  std::vector<std::int64_t> values(kCount);
  const std::int64_t ranks = communicator.world_size();
  for (std::size_t i = 0; i < kCount; ++i) {
    values[i] = (communicator.rank() + 1) * static_cast<std::int64_t>(i + 1);
  }
  const auto memory = communicator.allocate(kCount * sizeof(std::int64_t));
  const auto device = memory->bytes();
  // Waits for the copy: from pageable memory it returns when the data has been staged, not when it is there.
  check_cuda(cudaMemcpy(device.data(), values.data(), device.size(), cudaMemcpyHostToDevice), "cudaMemcpy");
  check_cuda(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
  communicator.all_reduce(device, DType::kI64, DType::kI64).wait();
  check_cuda(cudaMemcpy(values.data(), device.data(), device.size(), cudaMemcpyDeviceToHost), "cudaMemcpy");
  for (std::size_t i = 0; i < kCount; ++i) {
    const std::int64_t expected = ranks * (ranks + 1) / 2 * static_cast<std::int64_t>(i + 1);
    if (values[i] == expected) continue;
    throw EnvironmentError(cat("[nccl] the first sum over the GPUs of ", ranks, " ranks is wrong: element ",
                               i, " is ", values[i], " and not ", expected,
                               ". The transport between the GPUs does not work; NCCL_P2P_DISABLE=1 or "
                               "NCCL_DEBUG=INFO narrow it down."));
  }
}

}  // namespace

std::unique_ptr<DeviceCommunicator> make_nccl_communicator(Communicator& host, int device,
                                                           double deadline_seconds, ProgressBoard* board) {
  if (const std::string problem = nccl_problem(); !problem.empty()) {
    throw EnvironmentError(cat("[nccl] ", problem));
  }
  auto communicator = std::make_unique<NcclCommunicator>(host, device, deadline_seconds, board);
  check_first_sum(*communicator);
  return communicator;
}

std::string nccl_version() {
  int loaded = 0;
  return ncclGetVersion(&loaded) == ncclSuccess ? version_text(loaded) : std::string();
}

std::string nccl_problem() {
  int loaded = 0;
  if (ncclGetVersion(&loaded) != ncclSuccess) return "ncclGetVersion failed";
  if (loaded != NCCL_VERSION_CODE) {
    return cat("the loaded NCCL is ", version_text(loaded), ", the build's is ",
               version_text(NCCL_VERSION_CODE),
               ": another libnccl.so.2 comes first; look at LD_LIBRARY_PATH and LD_PRELOAD.");
  }
  std::ostringstream maps;
  maps << std::ifstream("/proc/self/maps").rdbuf();
  const auto files = loaded_files(maps.str(), "libnccl.so");
  if (files.size() < 2) return {};
  return cat("two NCCLs are loaded, ", files[0], " and ", files[1],
             ": each has state of its own; take one of them out of LD_LIBRARY_PATH or LD_PRELOAD.");
}

}  // namespace rn::dist
