#include "train/resident_batches.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "core/error.h"
#include "data/resident_batch.h"
#include "model/device_stream.h"

namespace rn::train {

static_assert(std::is_trivially_copyable_v<data::AugmentDraw>, "draws are copied to the device as they lie");

ResidentBatches::ResidentBatches(const data::ImageSet& images, const data::AugmentOptions& augment,
                                 data::PrefetchLoader::Plan plan, torch::Device device, torch::Dtype dtype)
    : shape_(data::Augmenter(augment, images.channels, images.height, images.width).geometry()),
      plan_(std::move(plan)),
      device_(device),
      dtype_(dtype) {
  const data::Augmenter augmenter(augment, images.channels, images.height, images.width);
  // from_blob takes a mutable pointer; nothing writes through it, and copy=true: the images may go.
  const auto resident = [&](const auto* values, at::IntArrayRef sizes, torch::Dtype type) {
    auto* data = const_cast<std::remove_const_t<std::remove_pointer_t<decltype(values)>>*>(values);
    return torch::from_blob(data, sizes, type).to(device, type, /*non_blocking=*/false, /*copy=*/true);
  };
  images_ = resident(images.pixels.data(), {images.size, images.channels, images.height, images.width},
                     torch::kUInt8);
  labels_ = resident(images.labels.data(), {images.size}, torch::kUInt8).to(torch::kInt64);
  table_ = resident(augmenter.table().data(), {images.channels, data::kPixelValues}, torch::kFloat32);
}

// By way of pinned memory: from pageable memory the copy would wait for all that the device has queued.
torch::Tensor ResidentBatches::to_device(const void* data, std::int64_t count, torch::Dtype dtype) const {
  const auto values = torch::from_blob(const_cast<void*>(data), {count}, dtype);
  if (!device_.is_cuda()) return values;
  return values.pin_memory().to(device_, /*non_blocking=*/true);
}

Batch ResidentBatches::next() {
  const auto request = plan_();
  RN_CHECK(request, "the plan ended before the run");
  const auto count = static_cast<std::int64_t>(request->indices.size());
  RN_CHECK(request->draws.empty() || request->draws.size() == request->indices.size());
  const bool inside = std::all_of(request->indices.begin(), request->indices.end(),
                                  [&](std::int64_t i) { return i >= 0 && i < images_.size(0); });
  RN_CHECK(inside, "an image beyond the ", images_.size(0));

  if (count == 0) {  // a shard without samples
    return {torch::empty({0, shape_.channels, shape_.height, shape_.width}, table_.options().dtype(dtype_)),
            torch::empty({0}, labels_.options()), 0};
  }
  const auto indices = to_device(request->indices.data(), count, torch::kInt64);
  const auto draws =
      to_device(request->draws.data(),
                static_cast<std::int64_t>(request->draws.size() * sizeof(data::AugmentDraw)), torch::kUInt8);
  auto out = torch::empty({count, shape_.height, shape_.width, shape_.channels}, table_.options());
  const data::ResidentBatch batch{
      .shape = shape_,
      .images = images_.const_data_ptr<std::uint8_t>(),
      .table = table_.const_data_ptr<float>(),
      .indices = indices.const_data_ptr<std::int64_t>(),
      .draws = request->draws.empty() ? nullptr
                                      : reinterpret_cast<const data::AugmentDraw*>(draws.const_data_ptr()),
      .count = count,
      .out = out.mutable_data_ptr<float>()};
  if (device_.is_cuda()) {
    data::make_batch_on_device(batch, model::current_stream(device_));
  } else {
    data::make_batch_on_host(batch);
  }
  return {out.permute({0, 3, 1, 2}).to(dtype_), labels_.index_select(0, indices), count};
}

}  // namespace rn::train
