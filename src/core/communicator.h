// The abstract communicator: collectives over byte spans with a dtype, and Work, a collective that was
// started.
//
// All ranks call the same collectives in the same order with the same sizes, from one thread per rank. A
// collective returns at once; its memory must stay valid and untouched until the Work is waited for.
// Implementations execute collectives in the order in which they were started. Sums are taken in one fixed
// order (on one CPU node rank order), so every rank holds the same bits.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "core/dtype.h"

namespace rn {

// Between two moments of the host's steady clock.
struct TimeSpan {
  std::chrono::steady_clock::time_point start, end;
};

// A started collective. Destroying an unfinished Work waits for it, unless an exception is unwinding this
// rank: then its peers may never arrive, and the communicator is abandoned instead. Move-only.
class Work {
 public:
  // What an implementation provides.
  class State {
   public:
    virtual ~State() = default;
    virtual bool done() const = 0;
    virtual void wait() = 0;                     // host: returns when the result may be read by the host
    virtual void order_after(void* stream) = 0;  // device: work queued on `stream` later sees the result
    virtual std::optional<TimeSpan> ran() const { return std::nullopt; }  // once it is done, see Work::wait
    // The last owner lets go: afterwards the collective touches the caller's memory no more, or is ordered. A
    // failure is not lost: every later collective of the communicator reports it.
    virtual void release() noexcept {
      try {
        wait();
      } catch (...) {
      }
    }
  };

  Work() = default;  // already done
  explicit Work(std::shared_ptr<State> state) : state_(std::move(state)) {}
  Work(Work&&) noexcept = default;
  Work& operator=(Work&& other) noexcept {
    if (this != &other) {
      if (state_) state_->release();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  ~Work() {
    if (state_) state_->release();
  }

  bool done() const { return !state_ || state_->done(); }

  // Blocks the host until the result is there. A rank whose peers never arrive is ended by the watchdog (exit
  // 7). Throws the collective's Error, e.g. when ranks started different collectives. Returns when it was
  // executed; nothing for what no thread of the host executes (on a device, or alone).
  std::optional<TimeSpan> wait() {
    const auto state = std::move(state_);
    if (!state) return std::nullopt;
    state->wait();
    return state->ran();
  }

  // Orders `stream` (a cudaStream_t) after the collective and lets the host go on. On the host: the same as
  // wait().
  void order_after(void* stream) {
    if (state_) state_->order_after(stream);
  }

 private:
  std::shared_ptr<State> state_;
};

// Memory that the communicator can reduce without a copy: a window shared by the node's ranks on the CPU,
// registered device memory on a GPU. Zero-filled, aligned to 4096 bytes; outlives nothing that points into
// it.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual std::span<std::byte> bytes() const = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  virtual std::string_view backend() const = 0;  // "single", "mpi" or "nccl", for logs
  virtual bool on_device() const = 0;            // spans are device memory

  // Collective. Every rank asks for the same size.
  [[nodiscard]] virtual std::shared_ptr<Buffer> allocate(std::size_t bytes) = 0;

  // data := sum over ranks, in place. dtype: f32, f64, i32 or i64; size a multiple of the dtype's. `wire`
  // below the dtype (bf16 for f32) rounds each contribution for the transport, sums in float32 and rounds the
  // sum once.
  [[nodiscard]] virtual Work all_reduce(std::span<std::byte> data, DType dtype, DType wire) = 0;
  [[nodiscard]] Work all_reduce(std::span<std::byte> data, DType dtype) {
    return all_reduce(data, dtype, dtype);
  }

  // data of every rank := data of `root`.
  [[nodiscard]] virtual Work broadcast(std::span<std::byte> data, int root) = 0;

  // all := mine of rank 0, mine of rank 1, ...; all.size() == world_size() * mine.size().
  [[nodiscard]] virtual Work all_gather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;

  // Returns when every rank has called it; finishes what was started before.
  virtual void barrier() = 0;

  // For a device that records its work as a graph (model/device_graph.h); nothing on the host. Collectives
  // between begin_capture() and end_capture() are recorded and do not run; they are ordered after, never
  // waited for. Each launch of that graph stands between before_launch() and after_launch(), and counts as
  // these collectives in their order. One graph at a time: the one recorded last.
  virtual void begin_capture() {}
  virtual void end_capture() {}
  virtual void before_launch() {}
  virtual void after_launch() {}

  // The communicator for small host data (counts, names, hashes) of the same ranks; itself on the CPU.
  virtual Communicator& host() = 0;
};

// Bytes of a typed span, for the calls above.
template <typename T, std::size_t kExtent>
std::span<std::byte> bytes_of(std::span<T, kExtent> values) {
  return std::as_writable_bytes(values);
}

}  // namespace rn
