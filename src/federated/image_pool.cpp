#include "federated/image_pool.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "federated/distributions.h"

namespace rn::federated {

ImagePool::ImagePool(std::vector<std::uint32_t> images, CounterRandom random, bool again)
    : images_(std::move(images)), random_(random), again_(again) {
  shuffle(random_, images_);
}

bool ImagePool::empty() const {
  if (next_ < images_.size()) return held_ >= images_.size();
  return !again_ || held_ >= images_.size();
}

std::uint32_t ImagePool::take() {
  RN_CHECK(!empty(), "an empty pool");
  if (next_ == images_.size()) deal_anew();
  ++held_;
  return images_[next_++];
}

// What the present client holds was dealt last, so it lies at the end; it goes to the end of the new order
// too, behind all that this client may still take.
void ImagePool::deal_anew() {
  std::vector<std::uint32_t> held(images_.end() - static_cast<std::ptrdiff_t>(held_), images_.end());
  std::sort(held.begin(), held.end());
  shuffle(random_, images_);
  std::stable_partition(images_.begin(), images_.end(), [&](std::uint32_t image) {
    return !std::binary_search(held.begin(), held.end(), image);
  });
  next_ = 0;
}

}  // namespace rn::federated
