// The kernel that crops, flips, normalises and blanks on a GPU. Its CPU twin is make_batch_on_host; both call
// augmented_value.
#include "core/error.h"
#include "data/resident_batch.h"

namespace rn::data {
namespace {

constexpr int kThreads = 256;

// One thread per pixel of the output, its channels in a row.
__global__ void make_batch(ResidentBatch batch, std::int64_t pixels) {
  const std::int64_t pixel = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (pixel >= pixels) return;
  const AugmentGeometry& shape = batch.shape;
  const std::int64_t plane = std::int64_t{shape.height} * shape.width;
  const std::int64_t i = pixel / plane;
  const int y = static_cast<int>(pixel % plane / shape.width);
  const int x = static_cast<int>(pixel % plane % shape.width);
  const std::uint8_t* image = batch.images + batch.indices[i] * (shape.channels * plane);
  const AugmentDraw* draw = batch.draws != nullptr ? batch.draws + i : nullptr;
  for (int c = 0; c < shape.channels; ++c) {
    batch.out[pixel * shape.channels + c] = augmented_value(image, shape, draw, batch.table, c, y, x);
  }
}

}  // namespace

void make_batch_on_device(const ResidentBatch& batch, void* stream) {
  const std::int64_t pixels = batch.count * batch.shape.height * batch.shape.width;
  if (pixels == 0) return;  // a grid of no blocks is an error
  const auto blocks = static_cast<unsigned>((pixels + kThreads - 1) / kThreads);
  make_batch<<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(batch, pixels);
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) {
    throw InternalError(cat("[data] the kernel that makes batches: ", cudaGetErrorString(error)));
  }
}

}  // namespace rn::data
