#include "data/content_hash.h"

#include <array>
#include <span>
#include <vector>

#include "core/tensor_hash.h"

namespace rn::data {

std::uint64_t content_hash(const ImageSet& train, const ImageSet& val, const ImageSet& test) {
  std::vector<std::uint64_t> parts;
  for (const ImageSet* images : {&train, &val, &test}) {
    parts.push_back(static_cast<std::uint64_t>(images->size));
    for (const int extent : {images->channels, images->height, images->width}) {
      parts.push_back(static_cast<std::uint64_t>(extent));
    }
    parts.push_back(tensor_hash(std::as_bytes(std::span(images->pixels))));
    parts.push_back(tensor_hash(std::as_bytes(std::span(images->labels))));
  }
  return tensor_hash(std::as_bytes(std::span(parts)));
}

}  // namespace rn::data
