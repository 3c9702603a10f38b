// A batch made from images that lie in memory as bytes, on a GPU by a kernel: what the loader's workers do on
// the CPU. The same values to the bit.
#pragma once

#include <cstdint>

#include "data/augment_pixel.h"

namespace rn::data {

// What to make, and where. Pointers into the memory of the one who makes it: the current device, or the host.
struct ResidentBatch {
  AugmentGeometry shape;
  const std::uint8_t* images = nullptr;   // [samples, C, H, W]
  const float* table = nullptr;           // [C, kPixelValues], see Augmenter::table()
  const std::int64_t* indices = nullptr;  // [count], each in [0, samples)
  const AugmentDraw* draws = nullptr;     // [count]; null: normalise only
  std::int64_t count = 0;
  float* out = nullptr;  // [count, H, W, C]
};

// Queues the kernel on `stream` (a cudaStream_t of the current device). Throws InternalError where it cannot
// be launched, and in builds without CUDA (no_resident_batch.cpp).
void make_batch_on_device(const ResidentBatch& batch, void* stream);

// The same on the host, by the same function per pixel.
void make_batch_on_host(const ResidentBatch& batch);

}  // namespace rn::data
