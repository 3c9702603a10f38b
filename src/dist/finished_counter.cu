#include <exception>

#include "core/error.h"
#include "dist/finished_counter.h"

namespace rn::dist {
namespace {

// The aligned 8 bytes reach the host in one access (assumed in docs/gpu.md); the board's readers ask for no
// order.
__global__ void count_one(std::int64_t* counted, volatile std::int64_t* shown) { *shown = ++*counted; }

void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // or LibTorch would find it after a kernel of its own
  throw EnvironmentError(cat("[cuda] ", what, " for the progress board: ", cudaGetErrorString(result)));
}

}  // namespace

FinishedCounter::FinishedCounter(std::span<std::byte> memory, std::atomic<std::int64_t>& count)
    : memory_(memory) {
  static_assert(sizeof(count) == sizeof(std::int64_t) && alignof(std::atomic<std::int64_t>) == 8);
  check(cudaHostRegister(memory.data(), memory.size(), cudaHostRegisterMapped | cudaHostRegisterPortable),
        "cudaHostRegister");
  try {
    void* base = nullptr;
    check(cudaHostGetDevicePointer(&base, memory.data(), 0), "cudaHostGetDevicePointer");
    const auto offset = reinterpret_cast<std::byte*>(&count) - memory.data();
    shown_ = reinterpret_cast<std::int64_t*>(static_cast<std::byte*>(base) + offset);
    check(cudaMalloc(&counted_, sizeof(std::int64_t)), "cudaMalloc");
    check(cudaMemset(counted_, 0, sizeof(std::int64_t)), "cudaMemset");
    // The stream that counts does not wait for the one that has set it.
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  } catch (...) {
    release();
    throw;
  }
}

FinishedCounter::~FinishedCounter() {
  if (std::uncaught_exceptions() > 0) return;
  cudaDeviceSynchronize();  // who still counts writes to both
  release();
}

void FinishedCounter::release() noexcept {
  cudaFree(counted_);
  cudaHostUnregister(memory_.data());
  cudaGetLastError();
}

void FinishedCounter::count_on(cudaStream_t stream) {
  count_one<<<1, 1, 0, stream>>>(counted_, shown_);
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) {
    throw InternalError(cat("[cuda] the kernel that counts collectives: ", cudaGetErrorString(error)));
  }
}

}  // namespace rn::dist
