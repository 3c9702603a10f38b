#include "train/batch.h"

#include "core/error.h"

namespace rn::train {

Batch to_batch(const data::HostBatch& host, int channels, int height, int width, torch::Device device,
               torch::Dtype dtype) {
  // from_blob takes a mutable pointer; nothing writes through it.
  auto images = torch::from_blob(const_cast<float*>(host.images.data()), {host.size, height, width, channels},
                                 torch::kFloat32)
                    .permute({0, 3, 1, 2});
  auto labels = torch::from_blob(const_cast<std::int64_t*>(host.labels.data()), {host.size}, torch::kInt64);
  if (device.is_cuda()) {
    // From pageable memory the copy would first wait for all that the device has queued. The allocator of
    // pinned memory gives a block out again only when the copies from it are done.
    images = images.pin_memory();
    labels = labels.pin_memory();
  }
  return {images.to(device, dtype, /*non_blocking=*/true), labels.to(device, /*non_blocking=*/true),
          host.count};
}

LoaderBatches::LoaderBatches(data::PrefetchLoader& loader, int channels, int height, int width,
                             torch::Device device, torch::Dtype dtype)
    : loader_(loader), channels_(channels), height_(height), width_(width), device_(device), dtype_(dtype) {}

Batch LoaderBatches::next() {
  const data::HostBatch* host = loader_.next();
  RN_CHECK(host != nullptr, "the plan ended before the run");
  return to_batch(*host, channels_, height_, width_, device_, dtype_);
}

}  // namespace rn::train
