// Batches as tensors on the rank's device, in the order of a plan.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>

#include "data/loader.h"

namespace rn::train {

struct Batch {
  torch::Tensor images;    // [N, C, H, W] in channels-last order, the model's dtype, device
  torch::Tensor labels;    // [N] int64, device; -1: padding
  std::int64_t count = 0;  // rows that are samples
};

// Where a step takes its batches from. A batch is valid until the next call.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual Batch next() = 0;  // throws InternalError when the plan has ended
  // Time that next() has waited for the host's data since the last call of this function, in seconds.
  virtual double take_wait_seconds() = 0;
};

// Turns the loader's host memory into tensors. On the CPU nothing is copied for float32.
class LoaderBatches final : public BatchSource {
 public:
  LoaderBatches(data::PrefetchLoader& loader, int channels, int height, int width, torch::Device device,
                torch::Dtype dtype);
  Batch next() override;
  double take_wait_seconds() override { return loader_.take_wait_seconds(); }

 private:
  data::PrefetchLoader& loader_;
  const int channels_, height_, width_;
  const torch::Device device_;
  const torch::Dtype dtype_;
};

// Views or copies one host batch as above.
Batch to_batch(const data::HostBatch& host, int channels, int height, int width, torch::Device device,
               torch::Dtype dtype);

}  // namespace rn::train
