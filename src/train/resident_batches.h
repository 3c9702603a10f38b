// The training images as bytes in the device's memory, and batches made there: `data.on_device: true`.
//
// The host draws the integers of each augmentation and sends them with the indices (18 bytes per image); a
// kernel does the rest, where the loader would send 12 KiB. The values are the loader's to the bit.
#pragma once

#include "train/batch.h"

namespace rn::train {

class ResidentBatches final : public BatchSource {
 public:
  // Copies the images and labels to the device. `plan` as PrefetchLoader's, but called from next(). Works on
  // the CPU too, which is its test. Throws ConfigError for options that do not fit the images.
  ResidentBatches(const data::ImageSet& images, const data::AugmentOptions& augment,
                  data::PrefetchLoader::Plan plan, torch::Device device, torch::Dtype dtype);
  // Queued on LibTorch's current stream of the device; the host does not wait.
  Batch next() override;
  double take_wait_seconds() override { return 0; }  // nothing is waited for

 private:
  torch::Tensor to_device(const void* data, std::int64_t count, torch::Dtype dtype) const;

  const data::AugmentGeometry shape_;
  const data::PrefetchLoader::Plan plan_;
  const torch::Device device_;
  const torch::Dtype dtype_;
  torch::Tensor images_;  // [samples, C, H, W] uint8
  torch::Tensor labels_;  // [samples] int64
  torch::Tensor table_;   // [C, kPixelValues] float32
};

}  // namespace rn::train
