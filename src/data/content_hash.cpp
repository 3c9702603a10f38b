#include "data/content_hash.h"

#include <array>
#include <span>
#include <vector>

#include "core/tensor_hash.h"

namespace rn::data {

namespace {

// Of all pixels in their order, wherever they lie.
std::uint64_t pixel_hash(const ImageSet& images) {
  if (!images.files) return tensor_hash(std::as_bytes(std::span(images.pixels)));
  TensorHasher hasher;
  std::vector<std::uint8_t> scratch;
  for (std::int64_t i = 0; i < images.size; ++i) hasher.update(std::as_bytes(images.read(i, scratch)));
  return hasher.finish();
}

}  // namespace

std::uint64_t content_hash(const ImageSet& train, const ImageSet& val, const ImageSet& test) {
  std::vector<std::uint64_t> parts;
  for (const ImageSet* images : {&train, &val, &test}) {
    parts.push_back(static_cast<std::uint64_t>(images->size));
    for (const int extent : {images->channels, images->height, images->width}) {
      parts.push_back(static_cast<std::uint64_t>(extent));
    }
    parts.push_back(pixel_hash(*images));
    parts.push_back(tensor_hash(std::as_bytes(std::span(images->labels))));
  }
  return tensor_hash(std::as_bytes(std::span(parts)));
}

}  // namespace rn::data
