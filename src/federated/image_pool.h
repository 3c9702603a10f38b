// A pile of images that is dealt to one client after another.
#pragma once

#include <cstdint>
#include <vector>

#include "core/random.h"

namespace rn::federated {

// Deals its images in random order, each once; with `again` the pile is shuffled and dealt anew whenever it
// is used up, but no client gets an image twice. Not thread-safe.
class ImagePool {
 public:
  ImagePool(std::vector<std::uint32_t> images, CounterRandom random, bool again);

  void begin_client() { held_ = 0; }  // the images from here on are another client's
  bool empty() const;                 // nothing left for this client
  std::uint32_t take();               // REQUIRES: !empty()

 private:
  void deal_anew();

  std::vector<std::uint32_t> images_;
  CounterRandom random_;
  bool again_;
  std::size_t next_ = 0;
  std::size_t held_ = 0;  // images of this pool that the present client already has
};

}  // namespace rn::federated
