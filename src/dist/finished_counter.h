// Counts a stream's finished collectives where every process of the node reads it, without the host's help.
//
// The device itself writes the count into the rank's row of the progress board: its watchdogs see what was
// finished while this rank's host hangs, and in a CUDA graph too, where the host is not asked. CUDA builds
// only.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace rn::dist {

class FinishedCounter {
 public:
  // `count` lies in `memory`, whole pages that this process maps; both must outlive the counter. Starts at 0.
  // Of the current device. Throws EnvironmentError where the device cannot write there; nothing is left then.
  FinishedCounter(std::span<std::byte> memory, std::atomic<std::int64_t>& count);
  ~FinishedCounter();  // not while an exception unwinds: then nothing of CUDA is called
  FinishedCounter(const FinishedCounter&) = delete;
  FinishedCounter& operator=(const FinishedCounter&) = delete;

  // Queues: one more. Always on the same stream, whose order makes the count right.
  void count_on(cudaStream_t stream);

 private:
  void release() noexcept;

  const std::span<std::byte> memory_;
  std::int64_t* counted_ = nullptr;  // of the device
  std::int64_t* shown_ = nullptr;    // the device's address of `count`
};

}  // namespace rn::dist
